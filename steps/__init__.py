"""What runs: each step in its own image. Every one of them asks Unity Catalog by databricks-sdk."""

from steps.governance.unity_catalog.sdk.on_demand import defer

defer("databricks.sdk")

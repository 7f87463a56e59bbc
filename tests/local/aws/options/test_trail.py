"""The trail: each call on the three buckets' objects, and its files are locked and encrypted."""

import pytest

from pipeline.doctor import template
from pipeline.local.aws import infrastructure
from tests.local.aws.support.server import Server

pytestmark = pytest.mark.environment
NAME = "governed-finetune-local"
BUCKET = f"{NAME}-trail-000000000000-us-east-1"


def test_it_has_the_objects_of_the_three_buckets_and_the_accounts_management(
    whole: Server,
) -> None:
    cloudtrail = whole.client("cloudtrail")
    selectors = cloudtrail.get_event_selectors(TrailName=NAME)["AdvancedEventSelectors"]
    fields = [{each["Field"]: each for each in one["FieldSelectors"]} for one in selectors]
    management, objects = fields
    assert management["eventCategory"]["Equals"] == ["Management"]
    assert sorted(objects["resources.ARN"]["StartsWith"]) == sorted(
        f"arn:aws:s3:::{whole.outputs[name]}/"
        for name in ("GovernedBucket", "EvidenceBucket", "ArtifactsBucket")
    )
    assert not {"readOnly", "eventName"} & objects.keys(), "reads and writes"
    trail = cloudtrail.get_trail(Name=NAME)["Trail"]
    assert trail["S3BucketName"] == BUCKET
    assert trail["LogFileValidationEnabled"] is True
    assert cloudtrail.get_trail_status(Name=NAME)["IsLogging"] is True


def test_its_files_are_locked_encrypted_and_removed_in_time(whole: Server) -> None:
    s3 = whole.client("s3")
    lock = s3.get_object_lock_configuration(Bucket=BUCKET)["ObjectLockConfiguration"]
    assert lock["Rule"]["DefaultRetention"] == {"Mode": "GOVERNANCE", "Days": 365}
    encryption = s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]
    default = encryption["Rules"][0]["ApplyServerSideEncryptionByDefault"]
    assert default["SSEAlgorithm"] == "aws:kms"
    key = whole.client("cloudtrail").get_trail(Name=NAME)["Trail"]["KmsKeyId"]
    assert default["KMSMasterKeyID"] == key
    layer = template.read(
        infrastructure.FOLDER / "foundation.yaml",
        template.Deployed({"Environment": "local"}, {"TrailKey": "x"}, {}, "us-east-1", "0" * 12),
    )  # the embedded S3 keeps no rule of a template
    (rule,) = layer.properties("TrailBucket")["LifecycleConfiguration"]["Rules"]
    assert (rule["ExpirationInDays"], rule["Status"]) == ("365", "Enabled")


def test_without_data_events_there_is_no_trail_and_no_bucket_of_one(server: Server) -> None:
    assert server.client("cloudtrail").describe_trails()["trailList"] == []
    buckets = [each["Name"] for each in server.client("s3").list_buckets()["Buckets"]]
    assert BUCKET not in buckets


def test_its_name_fits_wherever_the_names_of_the_other_buckets_fit() -> None:
    longest = max(("governed", "evidence", "artifacts"), key=len)
    assert len("trail") <= len(longest)
    assert "-trail-${AWS::AccountId}-${AWS::Region}" in (
        infrastructure.FOLDER / "foundation.yaml"
    ).read_text(encoding="utf-8")

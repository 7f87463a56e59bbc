"""One deployed layer: its template of this commit, with every reference resolved as deployed.

    layer = template.read(Path("conf/infrastructure/identity.yaml"), deployed)
    layer.properties("TrainRole")["Policies"]     # plain values, as CloudFormation computed them

Only what these templates use is resolved: Ref, GetAtt of an ARN, Sub, ImportValue, Split, If and
the conditions. Anything else is an error, so a new function in a template is noticed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

_GONE = object()  # AWS::NoValue
_REFERENCE = re.compile(r"\$\{([A-Za-z0-9:.]+)\}")
_ARNS = {
    "AWS::IAM::Role": "arn:{partition}:iam::{account}:role/{id}",
    "AWS::S3::Bucket": "arn:{partition}:s3:::{id}",
    "AWS::SQS::Queue": "arn:{partition}:sqs:{region}:{account}:{last}",
    "AWS::EMRServerless::Application": (
        "arn:{partition}:emr-serverless:{region}:{account}:/applications/{id}"
    ),
    "AWS::KMS::Key": "arn:{partition}:kms:{region}:{account}:key/{id}",
    "AWS::Lambda::Function": "arn:{partition}:lambda:{region}:{account}:function:{id}",
}


class Unresolved(Exception):
    """A value of the template that cannot be computed from what is deployed."""


@dataclass(frozen=True)
class Deployed:
    """What CloudFormation answers of one stack, and of all exports of the account."""

    parameters: Mapping[str, Any]
    physical: Mapping[str, str]  # by logical id
    exports: Mapping[str, str]
    region: str
    account: str


class Layer:
    """A template with the values of its stack."""

    def __init__(self, document: Mapping[str, Any], deployed: Deployed) -> None:
        self._document, self._deployed = document, deployed

    def resources(self) -> dict[str, str]:
        """Return the type of each resource that the stack's conditions ask for, by logical id."""
        return {
            name: body["Type"]
            for name, body in self._document["Resources"].items()
            if "Condition" not in body or self._condition(body["Condition"])
        }

    def physical(self, name: str) -> str | None:
        """Return the resource's name or id in the account, or None."""
        return self._deployed.physical.get(name)

    def properties(self, name: str) -> dict[str, Any]:
        """Return a resource's properties.

        Raises:
            Unresolved: one of them refers to something that is not deployed.
        """
        found: dict[str, Any] = self._value(self._document["Resources"][name].get("Properties", {}))
        return found

    def _value(self, node: Any) -> Any:
        if isinstance(node, list):
            return [each for part in node if (each := self._value(part)) is not _GONE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((key, inner),) = node.items()
            if key == "Ref" or key.startswith("Fn::"):
                return self._function(key, inner)
        pairs = {key: self._value(inner) for key, inner in node.items()}
        return {key: value for key, value in pairs.items() if value is not _GONE}

    def _function(self, key: str, inner: Any) -> Any:
        match key:
            case "Ref":
                return self._ref(inner)
            case "Fn::GetAtt":
                name, attribute = inner.split(".", 1) if isinstance(inner, str) else inner
                return self._attribute(name, attribute)
            case "Fn::Sub":
                return _REFERENCE.sub(lambda found: self._inside(found[1]), inner)
            case "Fn::ImportValue":
                return self._import(str(self._value(inner)))
            case "Fn::Split":
                return str(self._value(inner[1])).split(inner[0])
            case "Fn::If":
                chosen = inner[1] if self._condition(inner[0]) else inner[2]
                return self._value(chosen)
        raise Unresolved(key)

    def _inside(self, name: str) -> str:
        if "." in name:
            return self._attribute(*name.split(".", 1))
        return str(self._ref(name))

    def _ref(self, name: str) -> Any:
        given = self._deployed
        known: dict[str, Any] = {
            "AWS::NoValue": _GONE,
            "AWS::AccountId": given.account,
            "AWS::Region": given.region,
            "AWS::Partition": _partition(given.region),
        }
        for values in (known, given.parameters, given.physical):
            if name in values:
                return values[name]
        raise Unresolved(f"Ref {name}")

    def _attribute(self, name: str, attribute: str) -> str:
        physical, kind = self.physical(name), self._document["Resources"][name]["Type"]
        if attribute != "Arn" or physical is None or kind not in _ARNS:
            raise Unresolved(f"GetAtt {name}.{attribute}")
        if physical.startswith("arn:"):
            return physical
        given = self._deployed
        return _ARNS[kind].format(
            partition=_partition(given.region),
            region=given.region,
            account=given.account,
            id=physical,
            last=physical.rpartition("/")[2],
        )

    def _import(self, name: str) -> str:
        if name not in self._deployed.exports:
            raise Unresolved(f"ImportValue {name}")
        return self._deployed.exports[name]

    def _condition(self, node: Any) -> bool:
        if isinstance(node, str):
            return self._condition(self._document["Conditions"][node])
        ((key, inner),) = node.items()
        match key:
            case "Condition":
                return self._condition(inner)
            case "Fn::Equals":
                return bool(self._value(inner[0]) == self._value(inner[1]))
            case "Fn::Not":
                return not self._condition(inner[0])
            case "Fn::And":
                return all(map(self._condition, inner))
            case "Fn::Or":
                return any(map(self._condition, inner))
        raise Unresolved(key)


def declared(path: Path) -> dict[str, dict[str, Any]]:
    """Return the declarations of a template file's parameters by name."""
    found: dict[str, dict[str, Any]] = _document(path).get("Parameters", {})
    return found


def outputs(path: Path) -> set[str]:
    """Return the names of a template file's outputs."""
    return set(_document(path).get("Outputs", {}))


def read(path: Path, deployed: Deployed) -> Layer:
    """Return the layer of a template file."""
    document = _document(path)
    values = {
        name: _parameter(each, deployed.parameters.get(name, each.get("Default", "")))
        for name, each in document.get("Parameters", {}).items()
    }
    return Layer(document, replace(deployed, parameters=values))


def _document(path: Path) -> dict[str, Any]:
    # _Loader is a SafeLoader with CloudFormation's tags: it makes plain values only
    found: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506
    return found


def _parameter(declared: Mapping[str, Any], value: Any) -> Any:
    return str(value).split(",") if "List" in declared["Type"] else str(value)


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms."""


def _short(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short)


def _partition(region: str) -> str:
    for start, partition in (("us-gov-", "aws-us-gov"), ("cn-", "aws-cn")):
        if region.startswith(start):
            return partition
    return "aws"

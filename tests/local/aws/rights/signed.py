"""What a person looked at and accepted, each with the reason. Decision 057 has the same lists.

An entry that is not needed any more fails its test, so that the lists do not grow old.
"""

# (document, change): the account decides every request as before
EQUIVALENT = {
    (
        "trust of uc-storage",
        "AssumesItself: of everybody",
    ): "the condition names the one role that may, for every principal",
    (
        "trust of uc-storage",
        "AssumesItself: ArnEquals aws:PrincipalArn: only if present",
    ): "a caller that the statement's principal matches always has aws:PrincipalArn",
    (
        "policy of ArtifactsBucketPolicy",
        "NoArchiveIsDeleted: of train alone",
    ): "OnlyTrainWritesArchivesAndCheckpoints refuses deletions to everybody but train already",
    (
        "policy of TrailBucketPolicy",
        "CloudTrailWrites: of everybody",
    ): "OnlyCloudTrailWrites refuses everybody else",
}
# A wider action of these two statements would let a workflow tag its session. The evaluator knows a
# web identity's AssumeRoleWithWebIdentity only, so no check notices these.
NOT_KILLED = {
    ("trust of ci", f"statement {number}: sts:AssumeRoleWithWebIdentity becomes {wider}")
    for number in (2, 3)
    for wider in ("sts:*", "sts:Assume*", "*")
}
_OF_SIGNING = ("AdministrationWithoutSigning", "WhoSeesThePublicKey")
_OF_CLOUDTRAIL = ("CloudTrailEncrypts", "CloudTrailLooksAtTheKey")
# (document, statement): an Allow on every resource
STARS = {
    ("policy train of train", "Metrics"): "cloudwatch:PutMetricData has no resource type",
    ("policy train of train", "SignInToRegistry"): "ecr:GetAuthorizationToken has no resource type",
    ("policy train of train", "NetworkInterfaces"): (
        "only with TrainInVpc; SageMaker's page of roles has these EC2 actions on `*`, and the"
        " interfaces do not exist before"
    ),
    (
        "policy worker-execution of worker-execution",
        "SignInToTheRegistry",
    ): "ecr:GetAuthorizationToken has no resource type",
    ("policy web-identity", "StateThisRoleToDatabricks"): (
        "sts:GetWebIdentityToken has no resource type; its conditions name audience, time and key"
    ),
    ("policy scientist of scientist", "FindPipelinesAndShowMetrics"): (
        "sagemaker:ListPipelines, sagemaker:Search and cloudwatch:GetMetricData list everything"
    ),
    **{
        (f"policy of {key}", sid): "in a key's policy `*` is this key"
        for key, sids in (
            ("SigningKey", (*_OF_SIGNING, "OnlyRegisterSigns")),
            ("ApprovalKey", (*_OF_SIGNING, "OnlyApproverSigns")),
            ("TrailKey", ("AdministrationWithoutReading", "OnlyTheAuditorReads", *_OF_CLOUDTRAIL)),
        )
        for sid in sids
    },
}

"""A CloudFormation template: EventBridge Scheduler runs a task on Fargate, with the rights that it needs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from migrator.cli.schedules.job import SECRETS, File
from migrator.cli.schedules.times import MINUTE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.cli.schedules.job import Job

_PARAMETERS = {
    "ClusterArn": {"Type": "String", "Description": "The ECS cluster."},
    "SubnetIds": {"Type": "List<AWS::EC2::Subnet::Id>", "Description": "Subnets from which both stores are reached."},
    "SecurityGroupIds": {"Type": "List<AWS::EC2::SecurityGroup::Id>", "Description": "Security groups of the task."},
    "SecretArn": {
        "Type": "String",
        "Description": f"A secret of Secrets Manager, a JSON object with {' and '.join(SECRETS)}.",
    },
}

_PARTS = ("", "/index/*")
"""What follows a table's name in the ARNs of itself and of its indexes."""


def eventbridge(job: Job) -> Sequence[File]:
    """The template, and the task's policy by itself. Two runs do not overlap: the later one ends with 7, at once."""
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"Verifies {job.times.words} that DynamoDB holds what PostgreSQL asks for ({job.name}).",
        "Parameters": _PARAMETERS,
        "Resources": {
            "Logs": {
                "Type": "AWS::Logs::LogGroup",
                "DeletionPolicy": "Retain",
                "UpdateReplacePolicy": "Retain",
                "Properties": {"RetentionInDays": 90},
            },
            "TaskRole": _role(
                "ecs-tasks.amazonaws.com",
                job.statements([_arn(each.name, rest) for each in job.tables for rest in _PARTS]),
            ),
            "ExecutionRole": _role("ecs-tasks.amazonaws.com", _execution(job)),
            "SchedulerRole": _role("scheduler.amazonaws.com", _scheduler()),
            "Task": _task(job),
            "Schedule": _schedule(job),
        },
    }
    arns = [f"arn:aws:dynamodb:*:*:table/{each.name}{rest}" for each in job.tables for rest in _PARTS]
    policy = {"Version": "2012-10-17", "Statement": job.statements(arns)}
    return [
        File(f"{job.name}.template.json", json.dumps(template, indent=2) + "\n"),
        File(f"{job.name}.policy.json", json.dumps(policy, indent=2) + "\n"),
    ]


def _sub(text: str) -> dict[str, str]:
    return {"Fn::Sub": text}


def _get(resource: str) -> dict[str, list[str]]:
    return {"Fn::GetAtt": [resource, "Arn"]}


def _arn(table: str, part: str) -> dict[str, str]:
    return _sub(f"arn:${{AWS::Partition}}:dynamodb:${{AWS::Region}}:${{AWS::AccountId}}:table/{table}{part}")


def _role(service: str, statements: list[dict[str, Any]]) -> dict[str, Any]:
    principal = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    # Only on behalf of this account.
    principal["Condition"] = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [principal]},
            "Policies": [
                {"PolicyName": "verify", "PolicyDocument": {"Version": "2012-10-17", "Statement": statements}}
            ],
        },
    }


def _execution(job: Job) -> list[dict[str, Any]]:
    """What ECS does before the task begins: it reads the secret, pulls the image, and writes the log."""
    statements = [
        {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": {"Ref": "SecretArn"}},
        {"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": _get("Logs")},
    ]
    host, _, rest = job.image.partition("/")
    if ".dkr.ecr." in host:
        account, _, _, region, *_ = host.split(".")
        repository = rest.partition("@")[0].partition(":")[0]
        pull = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        arn = _sub(f"arn:${{AWS::Partition}}:ecr:{region}:{account}:repository/{repository}")
        statements += [
            {"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"},
            {"Effect": "Allow", "Action": pull, "Resource": arn},
        ]
    return statements


def _scheduler() -> list[dict[str, Any]]:
    """What the schedule does: it runs this task in this cluster, under the task's own roles."""
    passed = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    return [
        {
            "Effect": "Allow",
            "Action": "ecs:RunTask",
            "Resource": {"Ref": "Task"},
            "Condition": {"ArnEquals": {"ecs:cluster": {"Ref": "ClusterArn"}}},
        },
        {
            "Effect": "Allow",
            "Action": "iam:PassRole",
            "Resource": [_get("TaskRole"), _get("ExecutionRole")],
            "Condition": passed,
        },
    ]


def _task(job: Job) -> dict[str, Any]:
    logging = {
        "LogDriver": "awslogs",
        "Options": {
            "awslogs-group": {"Ref": "Logs"},
            "awslogs-region": {"Ref": "AWS::Region"},
            "awslogs-stream-prefix": job.name,
        },
    }
    container = {
        "Name": "verify",
        "Image": job.image,
        "EntryPoint": ["migrate"],
        "Command": list(job.arguments),
        "Secrets": [{"Name": name, "ValueFrom": _sub(f"${{SecretArn}}:{name}::")} for name in SECRETS],
        "LogConfiguration": logging,
    }
    return {
        "Type": "AWS::ECS::TaskDefinition",
        "Properties": {
            "Family": job.name,
            "RequiresCompatibilities": ["FARGATE"],
            "NetworkMode": "awsvpc",
            "Cpu": "1024",
            "Memory": "2048",
            "TaskRoleArn": _get("TaskRole"),
            "ExecutionRoleArn": _get("ExecutionRole"),
            "ContainerDefinitions": [container],
        },
    }


def _schedule(job: Job) -> dict[str, Any]:
    network = {
        "AwsvpcConfiguration": {
            "Subnets": {"Ref": "SubnetIds"},
            "SecurityGroups": {"Ref": "SecurityGroupIds"},
            "AssignPublicIp": "DISABLED",
        }
    }
    minutes = job.times.jitter // MINUTE
    window = {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": minutes} if minutes else {"Mode": "OFF"}
    return {
        "Type": "AWS::Scheduler::Schedule",
        "Properties": {
            "Name": job.name,
            "ScheduleExpression": job.times.expression,
            "ScheduleExpressionTimezone": job.times.zone,
            "FlexibleTimeWindow": window,
            "Target": {
                "Arn": {"Ref": "ClusterArn"},
                "RoleArn": _get("SchedulerRole"),
                "RetryPolicy": {"MaximumRetryAttempts": 0},
                "EcsParameters": {
                    "TaskDefinitionArn": {"Ref": "Task"},
                    "LaunchType": "FARGATE",
                    "NetworkConfiguration": network,
                },
            },
        },
    }

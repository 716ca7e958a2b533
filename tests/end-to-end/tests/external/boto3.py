"""A user's script: creates, gets, batches, lists page by page. Prints what it saw as JSON."""

import json

import boto3
from botocore.exceptions import ClientError

client = boto3.client("secretsmanager")
saw = {}

created = client.create_secret(Name="app/database", SecretString='{"username": "u", "password": "p"}')
saw["arn"] = created["ARN"]
client.create_secret(Name="app/binary", SecretBinary=bytes(range(256)))
for number in range(5):
    client.create_secret(Name=f"other/{number}", SecretString="x")

value = client.get_secret_value(SecretId="app/database")
saw["password"] = json.loads(value["SecretString"])["password"]
saw["same_version"] = value["VersionId"] == created["VersionId"]
saw["created_year_is_set"] = value["CreatedDate"].year > 2000
saw["binary"] = list(client.get_secret_value(SecretId="app/binary")["SecretBinary"])

batch = client.batch_get_secret_value(SecretIdList=[created["ARN"], "app/binary", "app/none"])
saw["batch"] = [value["Name"] for value in batch["SecretValues"]]
saw["batch_errors"] = [[error["SecretId"], error["ErrorCode"]] for error in batch["Errors"]]

pages = client.get_paginator("list_secrets").paginate(PaginationConfig={"PageSize": 3})
saw["pages"] = [[secret["Name"] for secret in page["SecretList"]] for page in pages]

# boto3 has no paginator for this operation.
saw["filtered"], more = [], {}
while True:
    page = client.batch_get_secret_value(
        Filters=[{"Key": "name", "Values": ["other/"]}], MaxResults=2, **more
    )
    saw["filtered"].append([value["Name"] for value in page["SecretValues"]])
    if "NextToken" not in page:
        break
    more = {"NextToken": page["NextToken"]}

try:
    client.get_secret_value(SecretId="app/none")
except client.exceptions.ResourceNotFoundException as error:
    saw["missing"] = str(error)
client.delete_secret(SecretId="app/binary", RecoveryWindowInDays=7)
try:
    client.get_secret_value(SecretId="app/binary")
except ClientError as error:
    saw["deleted"] = [error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]]

print(json.dumps(saw))

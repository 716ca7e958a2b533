"""Prepares moto: secrets, an administrator and an application, and from then on every call is checked.

Prints the access keys of both.
"""

import json
import os
import urllib.request

import boto3

url = os.environ["AWS_ENDPOINT_URL"]
secrets = boto3.client("secretsmanager", endpoint_url=url)
for name in ["app/prod/db", "app/prod/jwt", "other"]:
    secrets.create_secret(Name=name, SecretString='{"a": 1}')
iam = boto3.client("iam", endpoint_url=url)
everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
keys = {}
for user in ["administrator", "application"]:
    iam.create_user(UserName=user)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    keys[user] = [key["AccessKeyId"], key["SecretAccessKey"]]
iam.put_user_policy(UserName="administrator", PolicyName="all", PolicyDocument=json.dumps(everything))
# The content type is plain text: otherwise the body would be parsed as a form.
headers = {"Content-Type": "text/plain"}
reset = urllib.request.Request(f"{url}/moto-api/reset-auth", data=b"0", headers=headers, method="POST")
urllib.request.urlopen(reset).read()
print(json.dumps(keys))

"""A bucket with object lock (moto's server), and somebody else's client (boto3) that looks into it.

`bucket.py serve`: prints where it is and a key that may put objects there, as one line of JSON; signatures and
rights are checked from then on. `bucket.py look DIRECTORY`, with that line on standard input: copies the objects
into the directory, tries to remove each, and prints what it saw. `bucket.py cover` puts a newer version over each,
with the key that may put objects there; `bucket.py copy DIRECTORY` copies every version, under the version's name.
"""

import json
import os
import pathlib
import sys

import boto3
from botocore.exceptions import ClientError

BUCKET, REGION = "witness", "eu-central-1"
# Making the bucket, two users, their keys and what they may.
OPEN_REQUESTS = 7


def client(service, where):
    return boto3.client(
        service,
        region_name=REGION,
        endpoint_url=where["endpoint"],
        aws_access_key_id=where["id"],
        aws_secret_access_key=where["secret"],
    )


def user(iam, name, actions):
    iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    iam.put_user_policy(UserName=name, PolicyName=name, PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}


def serve():
    os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = str(OPEN_REQUESTS)
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    where = {"endpoint": f"http://127.0.0.1:{port}", "id": "first", "secret": "first"}
    iam, s3 = client("iam", where), client("s3", where)
    s3.create_bucket(
        Bucket=BUCKET,
        CreateBucketConfiguration={"LocationConstraint": REGION},
        ObjectLockEnabledForBucket=True,
    )
    writer = user(iam, "writer", ["s3:PutObject", "s3:PutObjectRetention"])
    owner = user(iam, "owner", ["s3:*"])
    url = f"{where['endpoint']}/{BUCKET}/ledger"
    told = {"url": url, "region": REGION, "endpoint": where["endpoint"], **writer, "owner": owner}
    print(json.dumps(told), flush=True)
    sys.stdin.read()


def refused(act):
    try:
        act()
    except ClientError as error:
        return error.response["Error"]["Code"]
    return None


def versions(s3):
    for version in s3.list_object_versions(Bucket=BUCKET).get("Versions", []):
        yield {"Bucket": BUCKET, "Key": version["Key"], "VersionId": version["VersionId"]}


def look(directory):
    where = json.load(sys.stdin)
    s3 = client("s3", where | where["owner"])
    seen = []
    for one in versions(s3):
        answer = s3.get_object(**one)
        name = pathlib.PurePosixPath(one["Key"]).name
        (pathlib.Path(directory) / name).write_bytes(answer["Body"].read())
        seen.append(
            {
                "key": one["Key"],
                "mode": answer["ObjectLockMode"],
                "until": answer["ObjectLockRetainUntilDate"].isoformat(),
                "removal": refused(
                    lambda: s3.delete_object(**one, BypassGovernanceRetention=True)
                ),
            }
        )
    print(json.dumps(seen))


def cover():
    where = json.load(sys.stdin)
    thief = client("s3", where)
    for one in list(versions(client("s3", where | where["owner"]))):
        thief.put_object(Bucket=BUCKET, Key=one["Key"], Body=b"nothing was here")


def copy(directory):
    where = json.load(sys.stdin)
    s3 = client("s3", where | where["owner"])
    for one in versions(s3):
        body = s3.get_object(**one)["Body"].read()
        (pathlib.Path(directory) / one["VersionId"]).write_bytes(body)


{"serve": serve, "look": look, "cover": cover, "copy": copy}[sys.argv[1]](*sys.argv[2:])

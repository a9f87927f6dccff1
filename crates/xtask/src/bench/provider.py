"""Reads a mailbox as a user of msgraph-sdk does: folders, pages of messages, the MIME of each.

provider.py key FILE            makes a key, writes it with its certificate, prints the certificate
provider.py read TASK AT_ONCE   reads; TASK is a file of JSON. Prints what was read and how long it took
"""

import asyncio
import datetime
import json
import ssl
import sys
import time


def key(path):
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bench")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .sign(private, hashes.SHA256())
    )
    shown = certificate.public_bytes(serialization.Encoding.PEM).decode()
    with open(path, "w") as file:
        file.write(shown)
        file.write(
            private.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ).decode()
        )
    print(shown)


def client(task):
    import httpx
    from azure.identity import CertificateCredential
    from kiota_authentication_azure.azure_identity_authentication_provider import (
        AzureIdentityAuthenticationProvider,
    )
    from msgraph import GraphServiceClient
    from msgraph.graph_request_adapter import GraphRequestAdapter
    from msgraph_core import GraphClientFactory

    credential = CertificateCredential(
        task["tenant"],
        task["client_id"],
        task["key"],
        authority=task["authority"],
        disable_instance_discovery=True,
        connection_verify=task["ca"],
    )
    host = task["graph"].removesuffix("/v1.0").removeprefix("https://")
    provider = AzureIdentityAuthenticationProvider(
        credential,
        scopes=[f"https://{host}/.default"],
        allowed_hosts=[host, host.split(":")[0]],
        is_cae_enabled=False,
    )
    http = GraphClientFactory.create_with_default_middleware(
        client=httpx.AsyncClient(verify=ssl.create_default_context(cafile=task["ca"]))
    )
    adapter = GraphRequestAdapter(provider, client=http)
    adapter.base_url = task["graph"]
    return GraphServiceClient(request_adapter=adapter)


async def all_pages(first, follow):
    page = await first
    while True:
        for one in page.value or []:
            yield one
        if not page.odata_next_link:
            return
        page = await follow(page.odata_next_link).get()


async def read(task, at_once):
    from kiota_abstractions.base_request_configuration import RequestConfiguration
    from msgraph.generated.users.item.mail_folders.item.messages.delta.delta_request_builder import (
        DeltaRequestBuilder,
    )

    user = client(task).users.by_user_id(task["mailbox"])
    # Not before everything is loaded: that is the library's longest minute.
    begin = time.monotonic()
    folders, seen = [], {"folders": 0, "pages": 0, "messages": 0, "bytes": 0}

    async def walk(list_of_folders):
        first = list_of_folders.get()
        async for folder in all_pages(first, list_of_folders.with_url):
            folders.append(folder)
            if folder.child_folder_count:
                await walk(user.mail_folders.by_mail_folder_id(folder.id).child_folders)

    await walk(user.mail_folders)
    seen["folders"] = len(folders)
    # What Mailkeep asks for, too; without it each message would come with its body.
    query = DeltaRequestBuilder.DeltaRequestBuilderGetQueryParameters(
        select=[
            "id", "parentFolderId", "changeKey", "conversationId", "subject", "from",
            "toRecipients", "ccRecipients", "bccRecipients", "receivedDateTime", "sentDateTime",
            "internetMessageId", "isRead", "isDraft", "hasAttachments", "importance", "categories",
            "flag",
        ]
    )
    places = asyncio.Semaphore(at_once)

    async def content(message):
        async with places:
            mime = await user.messages.by_message_id(message.id).content.get()
        seen["messages"] += 1
        seen["bytes"] += len(mime)

    for folder in folders:
        delta = user.mail_folders.by_mail_folder_id(folder.id).messages.delta
        page = await delta.get(request_configuration=RequestConfiguration(query_parameters=query))
        while True:
            seen["pages"] += 1
            messages = page.value or []
            if at_once == 1:
                for message in messages:
                    await content(message)
            else:
                await asyncio.gather(*(content(message) for message in messages))
            if not page.odata_next_link:
                break
            page = await delta.with_url(page.odata_next_link).get()
    seen["seconds"] = time.monotonic() - begin
    print(json.dumps(seen))


if sys.argv[1] == "key":
    key(sys.argv[2])
else:
    with open(sys.argv[2]) as file:
        asyncio.run(read(json.load(file), int(sys.argv[3])))

// `@microsoft/microsoft-graph-client` does with the lab's mailboxes what its users do with those of
// Microsoft 365; `@azure/msal-node` gets the tokens, by certificate.
"use strict";

const assert = require("node:assert/strict");
const crypto = require("node:crypto");
const fs = require("node:fs");
const http = require("node:http");
const { ConfidentialClientApplication } = require("@azure/msal-node");
const graph = require("@microsoft/microsoft-graph-client");

const SCOPE = "https://graph.microsoft.com/.default";
const world = JSON.parse(fs.readFileSync(0, "utf8"));
const mailbox = world.mailboxes[0];
const me = `/users/${mailbox}`;
const origin = new URL(world.graph).origin;
const done = [];
const failed = [];

/** A token by certificate. */
function application() {
  const key = world.keys.reader;
  const certificate = fs.readFileSync(key.certificate, "utf8");
  const der = new crypto.X509Certificate(certificate).raw;
  return new ConfidentialClientApplication({
    auth: {
      clientId: world.client_id,
      authority: `${world.authority}/${world.tenant}`,
      knownAuthorities: [new URL(world.authority).host],
      clientCertificate: {
        thumbprintSha256: crypto.createHash("sha256").update(der).digest("hex"),
        privateKey: fs.readFileSync(key.key, "utf8"),
      },
    },
  });
}

/** A client as its documentation makes it for another service root than the global one. */
function connect() {
  const tokens = application();
  const authProvider = {
    getAccessToken: async () =>
      (await tokens.acquireTokenByClientCredential({ scopes: [SCOPE] })).accessToken,
  };
  const baseUrl = `${origin}/`;
  const customHosts = new Set([new URL(world.graph).hostname]);
  return graph.Client.initWithMiddleware({ authProvider, baseUrl, customHosts, defaultVersion: "v1.0" });
}

const client = connect();

/** All of a collection, page by page, with the library's iterator. */
async function everything(page) {
  const found = [];
  const take = (one) => found.push(one) > 0;
  const iterator = new graph.PageIterator(client, page, take);
  await iterator.iterate();
  return { found, delta: iterator.getDeltaLink() };
}

async function refused(request, status, code) {
  await assert.rejects(request, (error) => {
    assert.deepEqual([error.statusCode, error.code], [status, code]);
    assert.ok(error.requestId, "the refusal has a request id");
    return true;
  });
}

async function until(condition, what) {
  for (let waited = 0; waited < 30000; waited += 20) {
    const found = condition();
    if (found) return found;
    await new Promise((wake) => setTimeout(wake, 20));
  }
  throw new Error(`in vain: ${what}`);
}

const steps = {
  async tokens() {
    const tokens = application();
    const first = await tokens.acquireTokenByClientCredential({ scopes: [SCOPE] });
    const second = await tokens.acquireTokenByClientCredential({ scopes: [SCOPE] });
    assert.equal(first.tokenType, "Bearer");
    assert.deepEqual([first.fromCache, second.fromCache], [false, true]);
    const again = await tokens.acquireTokenByClientCredential({ scopes: [SCOPE], skipCache: true });
    assert.notEqual(again.accessToken, first.accessToken);
  },

  async users() {
    const { found } = await everything(await client.api("/users").top(1).get());
    assert.deepEqual(found.map((one) => one.mail).sort(), [...world.mailboxes].sort());
    await refused(client.api("/users/nobody@elsewhere.example").get(), 404, "Request_ResourceNotFound");
  },

  async messagesAreListedAndRead() {
    const page = await client
      .api(`${me}/messages`)
      .select(["id", "subject", "receivedDateTime", "isRead"])
      .orderby("receivedDateTime desc")
      .count(true)
      .top(3)
      .get();
    assert.equal(page.value.length, 3);
    const { found } = await everything(page);
    assert.equal(found.length, page["@odata.count"]);
    assert.equal(new Set(found.map((one) => one.id)).size, found.length);
    const unread = await client.api(`${me}/messages`).filter("isRead eq false").top(50).get();
    assert.ok(unread.value.every((one) => one.isRead === false));

    const one = await client.api(`${me}/messages/${found[0].id}`).get();
    assert.equal(one.subject, found[0].subject);
    const text = await client
      .api(`${me}/messages/${one.id}`)
      .header("Prefer", 'outlook.body-content-type="text"')
      .get();
    assert.equal(text.body.contentType, "text");
    const mime = await client
      .api(`${me}/messages/${one.id}/$value`)
      .responseType(graph.ResponseType.TEXT)
      .get();
    assert.ok(mime.includes(one.internetMessageId), "the MIME is that message's");
    await refused(client.api(`${me}/messages/no-id`).get(), 400, "ErrorInvalidIdMalformed");
  },

  async aDraftIsMadeChangedMovedAndDeleted() {
    const made = await client.api(`${me}/messages`).post({
      subject: "From Node",
      body: { contentType: "html", content: "<p>Grüße</p>" },
      toRecipients: [{ emailAddress: { address: "ann@elsewhere.example", name: "Ann" } }],
    });
    assert.equal(made.isDraft, true);
    const path = `${me}/messages/${made.id}`;
    const changed = await client.api(path).patch({ subject: "Changed", isRead: true, categories: ["Blue category"] });
    assert.deepEqual([changed.subject, changed.isRead, changed.categories], ["Changed", true, ["Blue category"]]);
    const moved = await client.api(`${path}/move`).post({ destinationId: "archive" });
    await refused(client.api(path).get(), 404, "ErrorItemNotFound");
    await client.api(`${me}/messages/${moved.id}`).delete();
    const deleted = await client.api(`${me}/mailFolders/recoverableitemsdeletions/messages`).top(50).get();
    assert.ok(deleted.value.some((one) => one.subject === "Changed"));
  },

  async foldersAndTheirDelta() {
    const begin = await client.api(`${me}/mailFolders/delta`).header("Prefer", "odata.maxpagesize=4").get();
    const first = await everything(begin);
    assert.ok(first.found.some((one) => one.displayName === "Inbox"));
    const made = await client.api(`${me}/mailFolders`).post({ displayName: "From Node" });
    const child = await client.api(`${me}/mailFolders/${made.id}/childFolders`).post({ displayName: "Below" });
    await client.api(`${me}/mailFolders/${child.id}`).patch({ displayName: "Renamed" });
    const second = await everything(await client.api(first.delta).get());
    assert.deepEqual(second.found.map((one) => one.displayName).sort(), ["From Node", "Renamed"]);
    await client.api(`${me}/mailFolders/${child.id}/move`).post({ destinationId: "inbox" });
    await client.api(`${me}/mailFolders/${made.id}`).delete();
    const { found } = await everything(await client.api(`${me}/mailFolders`).get());
    assert.ok(!found.some((one) => one.id === made.id), "it is gone");
  },

  async messagesDelta() {
    const begin = await client
      .api(`${me}/mailFolders/inbox/messages/delta`)
      .header("Prefer", 'odata.maxpagesize=2, IdType="ImmutableId"')
      .select("subject,isRead")
      .get();
    assert.ok(begin["@odata.nextLink"], "more than one page");
    const first = await everything(begin);
    const one = first.found[0];
    const immutable = (path) => client.api(path).header("Prefer", 'IdType="ImmutableId"');
    await immutable(`${me}/messages/${one.id}`).patch({ isRead: !one.isRead });
    const second = await everything(await immutable(first.delta).get());
    assert.deepEqual(second.found.map((change) => [change.id, change.isRead]), [[one.id, !one.isRead]]);
    await immutable(`${me}/messages/${one.id}`).delete();
    const third = await everything(await immutable(second.delta).get());
    assert.deepEqual(third.found.map((change) => [change.id, change["@removed"].reason]), [[one.id, "deleted"]]);
  },

  async eventsWithRecurrence() {
    const timeZone = "W. Europe Standard Time";
    const made = await client.api(`${me}/events`).post({
      subject: "Weekly",
      body: { contentType: "text", content: "Agenda" },
      start: { dateTime: "2027-01-04T09:00:00", timeZone },
      end: { dateTime: "2027-01-04T09:30:00", timeZone },
      recurrence: {
        pattern: { type: "weekly", interval: 1, daysOfWeek: ["monday", "thursday"], firstDayOfWeek: "monday" },
        range: { type: "numbered", startDate: "2027-01-04", numberOfOccurrences: 6, recurrenceTimeZone: timeZone },
      },
    });
    assert.equal(made.type, "seriesMaster");
    const window = { startDateTime: "2027-01-01T00:00:00Z", endDateTime: "2027-02-01T00:00:00Z" };
    const instances = await client.api(`${me}/events/${made.id}/instances`).query(window).get();
    assert.equal(instances.value.length, 6);
    const changed = await client.api(`${me}/events/${instances.value[1].id}`).patch({ subject: "Another" });
    assert.equal(changed.type, "exception");
    await client.api(`${me}/events/${instances.value[2].id}`).delete();
    const view = await client.api(`${me}/calendarView`).query(window).top(50).get();
    assert.equal(view.value.filter((one) => one.seriesMasterId === made.id).length, 5);
    const { found } = await everything(await client.api(`${me}/events`).top(5).get());
    assert.ok(found.some((one) => one.id === made.id));
    await client.api(`${me}/events/${made.id}`).delete();
    await refused(client.api(`${me}/events/${made.id}`).get(), 404, "ErrorItemNotFound");
  },

  async contacts() {
    const made = await client.api(`${me}/contacts`).post({
      givenName: "Zoë",
      surname: "Ångström",
      emailAddresses: [{ address: "zoe@elsewhere.example", name: "Zoë" }],
    });
    const changed = await client.api(`${me}/contacts/${made.id}`).patch({ jobTitle: "Physicist" });
    assert.deepEqual([changed.givenName, changed.jobTitle], ["Zoë", "Physicist"]);
    const { found } = await everything(await client.api(`${me}/contacts`).top(2).get());
    assert.ok(found.some((one) => one.id === made.id));
    const begin = await everything(await client.api(`${me}/contactFolders/contacts/contacts/delta`).get());
    await client.api(`${me}/contacts/${made.id}`).delete();
    const changes = await everything(await client.api(begin.delta).get());
    assert.deepEqual(changes.found.map((one) => one.id), [made.id]);
  },

  async attachments() {
    const message = await client.api(`${me}/messages`).post({ subject: "With files" });
    const path = `${me}/messages/${message.id}/attachments`;
    const small = Buffer.from(Array.from({ length: 256 }, (_, n) => n));
    const made = await client.api(path).post({
      "@odata.type": "#microsoft.graph.fileAttachment",
      name: "small.bin",
      contentBytes: small.toString("base64"),
    });
    const raw = await client.api(`${path}/${made.id}/$value`).responseType(graph.ResponseType.ARRAYBUFFER).get();
    assert.deepEqual(Buffer.from(raw), small);

    const large = Buffer.alloc(3_600_000, "large attachments come in pieces; ");
    const session = await graph.LargeFileUploadTask.createUploadSession(client, `${path}/createUploadSession`, {
      AttachmentItem: { attachmentType: "file", name: "large.bin", size: large.length },
    });
    let pieces = 0;
    const file = new graph.FileUpload(large, "large.bin", large.length);
    const options = { rangeSize: 4 * 320 * 1024, uploadEventHandlers: { progress: () => pieces++ } };
    const result = await new graph.LargeFileUploadTask(client, file, session, options).upload();
    assert.equal(pieces, 3);
    assert.match(result.location, /Attachments\('/);
    const listed = await client.api(path).get();
    assert.deepEqual(listed.value.map((one) => one.name).sort(), ["large.bin", "small.bin"]);
    const id = listed.value.find((one) => one.name === "large.bin").id;
    const whole = await client.api(`${path}/${id}`).get();
    assert.ok(Buffer.from(whole.contentBytes, "base64").equals(large), "it has arrived whole");
  },

  async batches() {
    // The library takes the host away and leaves the version in: its users leave that out.
    const request = (path, options) => new Request(`${origin}${path}`, options);
    const json = { "content-type": "application/json" };
    const content = new graph.BatchRequestContent([
      { id: "folder", request: request(`${me}/mailFolders`, { method: "POST", headers: json, body: JSON.stringify({ displayName: "From a batch" }) }) },
      { id: "draft", dependsOn: ["folder"], request: request(`${me}/messages`, { method: "POST", headers: json, body: JSON.stringify({ subject: "From a batch" }) }) },
      { id: "nobody", dependsOn: ["draft"], request: request("/users/nobody@elsewhere.example", { method: "GET" }) },
      { id: "never", dependsOn: ["nobody"], request: request(`${me}/mailFolders/inbox`, { method: "GET" }) },
    ]);
    const answer = await client.api("/$batch").post(await content.getContent());
    const responses = new graph.BatchResponseContent(answer);
    const status = (id) => responses.getResponseById(id).status;
    assert.deepEqual(["folder", "draft", "nobody", "never"].map(status), [201, 201, 404, 424]);
    assert.equal((await responses.getResponseById("draft").json()).subject, "From a batch");
  },

  async subscriptions() {
    let handshakes = 0;
    const told = [];
    const server = http.createServer((request, answer) => {
      const chunks = [];
      request.on("data", (chunk) => chunks.push(chunk));
      request.on("end", () => {
        const token = new URL(request.url, "http://localhost").searchParams.get("validationToken");
        if (token) {
          handshakes++;
          answer.writeHead(200, { "content-type": "text/plain" }).end(token);
        } else {
          told.push(...JSON.parse(Buffer.concat(chunks).toString()).value);
          answer.writeHead(202).end();
        }
      });
    });
    await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
    try {
      const hours = (count) => new Date(Date.now() + count * 3_600_000).toISOString();
      const made = await client.api("/subscriptions").post({
        changeType: "created,deleted",
        notificationUrl: `http://127.0.0.1:${server.address().port}/notify`,
        resource: `${me}/contacts`,
        expirationDateTime: hours(1),
        clientState: "a secret of ours",
      });
      assert.equal(handshakes, 1);
      const contact = await client.api(`${me}/contacts`).post({ givenName: "Notify" });
      const first = await until(() => told.find((one) => one.changeType === "created"), "a notification");
      assert.deepEqual([first.subscriptionId, first.clientState, first.resourceData.id], [made.id, "a secret of ours", contact.id]);
      const renewed = await client.api(`/subscriptions/${made.id}`).patch({ expirationDateTime: hours(5) });
      assert.ok(new Date(renewed.expirationDateTime) > new Date(made.expirationDateTime));
      await client.api(`/subscriptions/${made.id}`).delete();
      await refused(client.api(`/subscriptions/${made.id}`).get(), 404, "ResourceNotFound");
    } finally {
      server.close();
    }
  },

  async signIns() {
    const kinds = "signInEventTypes/any(t: t eq 'servicePrincipal')";
    const page = await client
      .api("/auditLogs/signIns")
      .version("beta")
      .filter(`${kinds} and appId eq '${world.client_id}'`)
      .top(2)
      .get();
    assert.equal(page.value[0].status.errorCode, 0);
    assert.ok(page.value[0].servicePrincipalCredentialKeyId);
    const { found } = await everything(page);
    assert.ok(found.length >= 3, "one for each token");
  },

  async tasksSettingsRulesAndCategories() {
    const list = await client.api(`${me}/todo/lists`).post({ displayName: "From Node" });
    const tasks = `${me}/todo/lists/${list.id}/tasks`;
    const task = await client.api(tasks).post({ title: "Write" });
    const finished = await client.api(`${tasks}/${task.id}`).patch({ status: "completed" });
    assert.equal(finished.status, "completed");
    await client.api(`${me}/todo/lists/${list.id}`).delete();

    const replies = { status: "alwaysEnabled", internalReplyMessage: "Away", externalReplyMessage: "Away" };
    const settings = await client.api(`${me}/mailboxSettings`).patch({ automaticRepliesSetting: replies });
    assert.equal(settings.automaticRepliesSetting.status, "alwaysEnabled");

    const rules = `${me}/mailFolders/inbox/messageRules`;
    const rule = await client.api(rules).post({
      displayName: "Newsletters",
      sequence: 2,
      isEnabled: true,
      conditions: { senderContains: ["newsletter"] },
      actions: { delete: true, stopProcessingRules: true },
    });
    await client.api(`${rules}/${rule.id}`).delete();

    const categories = `${me}/outlook/masterCategories`;
    const category = await client.api(categories).post({ displayName: "From Node", color: "preset9" });
    const changed = await client.api(`${categories}/${category.id}`).patch({ color: "preset1" });
    assert.equal(changed.color, "preset1");
    await client.api(`${categories}/${category.id}`).delete();
  },
};

(async () => {
  for (const [name, step] of Object.entries(steps)) {
    try {
      await step();
      done.push(name);
      console.log(JSON.stringify({ did: name }));
    } catch (error) {
      failed.push(name);
      console.error(name, error);
    }
  }
  console.log(JSON.stringify({ done, failed, version: require("@microsoft/microsoft-graph-client/package.json").version }));
  process.exit(failed.length === 0 ? 0 : 1);
})();

use serde::{Deserialize, Serialize};

macro_rules! operations {
    ($($name:ident = $text:literal,)*) => {
        /// What a request is for; the names stand in counters and fault rules.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub(crate) enum Operation { $(#[serde(rename = $text)] $name,)* }

        impl Operation {
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];

            pub(crate) fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

operations! {
    Token = "token",
    Discovery = "discovery",
    Organization = "organization",
    UsersList = "users.list",
    UsersDelta = "users.delta",
    UserShow = "user.show",
    GroupsList = "groups.list",
    GroupShow = "group.show",
    GroupMembers = "group.members",
    GroupTransitiveMembers = "group.transitivemembers",
    FoldersDelta = "folders.delta",
    FoldersList = "folders.list",
    FolderShow = "folder.show",
    FolderCreate = "folder.create",
    FolderPatch = "folder.patch",
    FolderDelete = "folder.delete",
    FolderMove = "folder.move",
    MessagesDelta = "messages.delta",
    MessagesList = "messages.list",
    MessageShow = "message.show",
    MessageValue = "message.value",
    MessageCreate = "message.create",
    MessagePatch = "message.patch",
    MessageMove = "message.move",
    MessageDelete = "message.delete",
    MessagePermanentDelete = "message.permanentdelete",
    AttachmentsList = "message.attachments.list",
    AttachmentShow = "message.attachment.show",
    AttachmentValue = "message.attachment.value",
    AttachmentCreate = "message.attachment.create",
    AttachmentDelete = "message.attachment.delete",
    UploadCreate = "upload.create",
    UploadPut = "upload.put",
    UploadDelete = "upload.delete",
    CalendarsList = "calendars.list",
    CalendarShow = "calendar.show",
    CalendarCreate = "calendar.create",
    CalendarPatch = "calendar.patch",
    CalendarDelete = "calendar.delete",
    EventsList = "events.list",
    EventShow = "event.show",
    EventInstances = "event.instances",
    CalendarView = "calendarview",
    CalendarViewDelta = "calendarview.delta",
    EventCreate = "event.create",
    EventPatch = "event.patch",
    EventDelete = "event.delete",
    EventAttachmentsList = "event.attachments.list",
    EventAttachmentShow = "event.attachment.show",
    EventAttachmentValue = "event.attachment.value",
    EventAttachmentCreate = "event.attachment.create",
    EventAttachmentDelete = "event.attachment.delete",
    ContactFoldersList = "contactfolders.list",
    ContactFoldersDelta = "contactfolders.delta",
    ContactFolderShow = "contactfolder.show",
    ContactFolderCreate = "contactfolder.create",
    ContactFolderPatch = "contactfolder.patch",
    ContactFolderDelete = "contactfolder.delete",
    ContactsList = "contacts.list",
    ContactsDelta = "contacts.delta",
    ContactShow = "contact.show",
    ContactCreate = "contact.create",
    ContactPatch = "contact.patch",
    ContactDelete = "contact.delete",
    ContactPhoto = "contact.photo",
    ContactPhotoPut = "contact.photo.put",
    SettingsShow = "mailboxsettings.show",
    SettingsPatch = "mailboxsettings.patch",
    ExchangeSettings = "exchangesettings.show",
    RulesList = "rules.list",
    RuleShow = "rule.show",
    RuleCreate = "rule.create",
    RulePatch = "rule.patch",
    RuleDelete = "rule.delete",
    CategoriesList = "categories.list",
    CategoryShow = "category.show",
    CategoryCreate = "category.create",
    CategoryPatch = "category.patch",
    CategoryDelete = "category.delete",
    TaskListsList = "tasklists.list",
    TaskListsDelta = "tasklists.delta",
    TaskListShow = "tasklist.show",
    TaskListCreate = "tasklist.create",
    TaskListPatch = "tasklist.patch",
    TaskListDelete = "tasklist.delete",
    TasksList = "tasks.list",
    TasksDelta = "tasks.delta",
    TaskShow = "task.show",
    TaskCreate = "task.create",
    TaskPatch = "task.patch",
    TaskDelete = "task.delete",
    TaskPartsList = "task.parts.list",
    TaskPartShow = "task.part.show",
    TaskPartCreate = "task.part.create",
    TaskPartPatch = "task.part.patch",
    TaskPartDelete = "task.part.delete",
    TaskFilesList = "task.attachments.list",
    TaskFileShow = "task.attachment.show",
    TaskFileValue = "task.attachment.value",
    TaskExtensionCreate = "task.extension.create",
    TaskExtensionShow = "task.extension.show",
    TaskExtensionPatch = "task.extension.patch",
    TaskExtensionDelete = "task.extension.delete",
    TaskFileCreate = "task.attachment.create",
    TaskFileDelete = "task.attachment.delete",
    ExchangeFolders = "exchange.folders.list",
    ExchangeFolder = "exchange.folder.show",
    ExchangeFoldersDelta = "exchange.folders.delta",
    ExchangeItems = "exchange.items.list",
    ExchangeItem = "exchange.item.show",
    ExchangeItemsDelta = "exchange.items.delta",
    ExchangeExport = "exchange.export",
    ExchangeImportSession = "exchange.importsession",
    ExchangeImport = "exchange.import",
    SubscriptionsList = "subscriptions.list",
    SubscriptionShow = "subscription.show",
    SubscriptionCreate = "subscription.create",
    SubscriptionPatch = "subscription.patch",
    SubscriptionDelete = "subscription.delete",
    SubscriptionReauthorize = "subscription.reauthorize",
    Notification = "notification",
    SignInsList = "signins.list",
    Batch = "batch",
    Unknown = "unknown",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_rule_names_an_operation_as_the_counters_do() {
        for operation in Operation::ALL {
            let json = serde_json::to_value(operation).unwrap();
            assert_eq!(json, operation.as_str());
        }
    }
}

use serde::{Deserialize, Serialize};

macro_rules! operations {
    ($($name:ident = $text:literal,)*) => {
        /// What a request is for; the names stand in counters and fault rules.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub(crate) enum Operation { $(#[serde(rename = $text)] $name,)* }

        impl Operation {
            #[cfg(test)]
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
    UserShow = "user.show",
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
    SignInsList = "signins.list",
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

//! Application permissions of Microsoft Graph and their ids (`appRole`), the same in every tenant.

use uuid::Uuid;

use crate::ids;

/// The ids of permissions that scripts write out
/// (<https://learn.microsoft.com/graph/permissions-reference>). Others have one of the lab's own.
const KNOWN: &[(&str, u128)] = &[
    ("Application.Read.All", 0x9a5d68dd_52b0_4cc2_bd40_abcf44ac3a30),
    ("Application.ReadWrite.All", 0x1bfefb4e_e0b5_418b_a88f_73c46d2cc8e9),
    ("Application.ReadWrite.OwnedBy", 0x18a4783c_866b_4cc7_a460_3d5e5662c884),
    ("AppRoleAssignment.ReadWrite.All", 0x06b708a9_e830_4db3_a914_8e69da51d44f),
    ("AuditLog.Read.All", 0xb0afded3_3588_46d8_8b3d_9842eff778da),
    ("AuditLogsQuery-Exchange.Read.All", 0x6b0d2622_d34e_4470_935b_b96550e5ca8d),
    ("Calendars.Read", 0x798ee544_9d2d_430c_a058_570e29e34338),
    ("Calendars.ReadWrite", 0xef54d2bf_783f_4e0f_bca1_3210c0444d99),
    ("Contacts.Read", 0x089fe4d0_434a_44c5_8827_41ba8a0b17f5),
    ("Contacts.ReadWrite", 0x6918b873_d17a_4dc1_b314_35f528134491),
    ("Directory.Read.All", 0x7ab1d382_f21e_4acd_a863_ba3e13f7da61),
    ("GroupMember.Read.All", 0x98830695_27a2_44f7_8c18_0c3ebc9698f6),
    ("Mail.Read", 0x810c84a8_4a9e_49e6_bf7d_12d183f40d01),
    ("Mail.ReadBasic", 0x6be147d2_ea4f_4b5a_a3fa_3eab6f3c140a),
    ("Mail.ReadBasic.All", 0x693c5e45_0940_467d_9b8a_1022fb9d42ef),
    ("Mail.ReadWrite", 0xe2a3a72e_5f79_4c64_b1b1_878b674786c9),
    ("Mail.Send", 0xb633e1c5_b582_4048_a93e_9f11b44c7e96),
    ("MailboxFolder.Read.All", 0x99280d24_a782_4793_93cc_0888549957f6),
    ("MailboxItem.ImportExport.All", 0x76577085_e73d_4f1d_b26a_85fb33892327),
    ("MailboxItem.Read.All", 0x7d9f353d_a7bd_4fbb_822a_26d5dd39a3ce),
    ("MailboxSettings.Read", 0x40f97065_369a_49f4_947c_6a255697ae91),
    ("MailboxSettings.ReadWrite", 0x6931bccd_447a_43d1_b442_00a195474933),
    ("Organization.Read.All", 0x498476ce_e0fe_48b0_b801_37ba7e2685c6),
    ("Policy.Read.All", 0x246dd0d5_5bd0_4def_940b_0421030a5b68),
    ("Tasks.Read.All", 0xf10e1f91_74ed_437f_a6fd_d6ae88e26c1f),
    ("Tasks.ReadWrite.All", 0x44e666d1_d276_445b_a5fc_8815eeb81d55),
    ("User.Read.All", 0xdf021288_bdef_4463_88db_98f22de89214),
];
/// Permissions of whose ids only the lab knows.
const OTHERS: &[&str] = &[
    "ActivityFeed.Read",
    "AuditLogsQuery.Read.All",
    "ConfigurationMonitoring.Read.All",
    "ConfigurationMonitoring.ReadWrite.All",
    "Mail-Advanced.ReadWrite.All",
    "MailboxConfigItem.Read",
    "MailboxFolder.ReadWrite.All",
    "MailboxItem.Export.All",
    "Policy.ReadWrite.ConditionalAccess",
];

/// The id of a permission.
pub(super) fn id(permission: &str) -> Uuid {
    let known = KNOWN.iter().find(|(name, _)| *name == permission);
    known.map_or_else(|| ids::derived(&["permission", permission]), |(_, id)| Uuid::from_u128(*id))
}

/// All permissions that a service principal of Graph shows.
pub(super) fn all() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().map(|(name, _)| *name).chain(OTHERS.iter().copied())
}

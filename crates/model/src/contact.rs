use serde::{Deserialize, Serialize};
use time::{Date, OffsetDateTime};

use crate::{Person, Sensitivity};

/// A person or company in a contact folder (Graph: `contact`; EWS: `Contact`). Empty texts mean
/// that there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Contact {
    /// Name shown to people.
    pub display_name: String,
    /// What lists are sorted by.
    pub file_as: String,
    /// Name before the others (`Dr.`).
    pub title: String,
    /// Given name.
    pub given_name: String,
    /// Middle name.
    pub middle_name: String,
    /// Family name.
    pub surname: String,
    /// Name behind the others (`Jr.`).
    pub generation: String,
    /// Initials.
    pub initials: String,
    /// Nickname.
    pub nickname: String,
    /// Pronunciation of the given name (Japanese).
    pub yomi_given_name: String,
    /// Pronunciation of the family name (Japanese).
    pub yomi_surname: String,
    /// Pronunciation of the company's name (Japanese).
    pub yomi_company: String,
    /// Company.
    pub company: String,
    /// Department.
    pub department: String,
    /// Office.
    pub office_location: String,
    /// Job title.
    pub job_title: String,
    /// Profession.
    pub profession: String,
    /// Assistant.
    pub assistant: String,
    /// Manager.
    pub manager: String,
    /// Spouse.
    pub spouse: String,
    /// Children.
    pub children: Vec<String>,
    /// Mail addresses, in the provider's order.
    pub emails: Vec<Person>,
    /// Addresses for instant messages.
    pub im_addresses: Vec<String>,
    /// Home telephones.
    pub home_phones: Vec<String>,
    /// Business telephones.
    pub business_phones: Vec<String>,
    /// Mobile telephone.
    pub mobile_phone: String,
    /// Home address.
    pub home_address: PostalAddress,
    /// Business address.
    pub business_address: PostalAddress,
    /// Another address.
    pub other_address: PostalAddress,
    /// Web page of the business.
    pub business_home_page: String,
    /// Birthday. A provider that stores a time stores midnight, UTC.
    pub birthday: Option<Date>,
    /// Notes.
    pub notes: String,
    /// Categories, in the provider's order.
    pub categories: Vec<String>,
    /// Who may see it.
    pub sensitivity: Sensitivity,
    /// When it was made. UTC.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub created: Option<OffsetDateTime>,
    /// When it was last changed. UTC.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub modified: Option<OffsetDateTime>,
}

/// A postal address. Empty texts mean that there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PostalAddress {
    /// Street, house, and whatever else stands above the city; may have several lines.
    pub street: String,
    /// City.
    pub city: String,
    /// State or province.
    pub state: String,
    /// Postal code.
    pub postal_code: String,
    /// Country or region.
    pub country: String,
}

impl PostalAddress {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

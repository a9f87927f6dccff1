use mailkeep_model::{Attachment, Contact, PostalAddress};

use super::{
    ics::{class, instant},
    text::{Lines, in_memory},
    zones::day,
};

/// A contact as a vCard of version 3.0 (RFC 2426): the version that phones import. Its photograph
/// is inside.
///
/// What vCard has no property for goes into the `X-` properties that others use. Equal input gives
/// equal bytes.
pub fn vcard(contact: &Contact, photo: Option<&Attachment>) -> Vec<u8> {
    in_memory(|out| {
        let mut lines = Lines::to(out);
        card(&mut lines, contact, photo);
        lines.finish()
    })
}

fn card(lines: &mut Lines, contact: &Contact, photo: Option<&Attachment>) {
    lines.begin("VCARD");
    lines.property("VERSION").raw("3.0");
    lines.property("PRODID").raw("-//Mailkeep//Mailkeep//EN");
    name(lines, contact);
    work(lines, contact);
    for person in contact.emails.iter().filter(|person| !person.address.is_empty()) {
        // A quote cannot stand in a parameter of vCard 3.0.
        let shown = person.name.replace('"', "'");
        let shown =
            if shown == person.address || shown == contact.display_name { "" } else { &shown };
        let line = lines.property("EMAIL").parameter("TYPE", "INTERNET");
        line.parameter("X-CN", shown).text(&person.address);
    }
    telephones(lines, contact);
    for (kind, address) in [
        ("HOME", &contact.home_address),
        ("WORK", &contact.business_address),
        ("OTHER", &contact.other_address),
    ] {
        postal(lines, kind, address);
    }
    for address in contact.im_addresses.iter().filter(|address| !address.is_empty()) {
        let has_scheme = address.split_once(':').is_some_and(|(scheme, _)| {
            !scheme.is_empty()
                && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        });
        let scheme = if has_scheme { "" } else { "im:" };
        lines.text("IMPP", &format!("{scheme}{address}"));
    }
    if let Some(birthday) = contact.birthday {
        let day = day(birthday);
        lines.property("BDAY").raw(&format!("{}-{}-{}", &day[..4], &day[4..6], &day[6..]));
    }
    personal(lines, contact);
    if let Some(photo) = photo {
        lines
            .property("PHOTO")
            .parameter("ENCODING", "b")
            .parameter("TYPE", &image_type(&photo.info.content_type))
            .base64(&photo.bytes);
    }
    lines.property("CLASS").raw(class(contact.sensitivity));
    if let Some(at) = contact.modified.or(contact.created) {
        lines.property("REV").raw(&instant(at));
    }
    lines.end("VCARD");
}

fn name(lines: &mut Lines, contact: &Contact) {
    let parts = [
        &contact.title,
        &contact.given_name,
        &contact.middle_name,
        &contact.surname,
        &contact.generation,
    ];
    let joined: Vec<&str> =
        parts.into_iter().map(|part| part.trim()).filter(|part| !part.is_empty()).collect();
    let email = contact.emails.first().map_or("", |person| &person.address);
    let candidates =
        [&contact.display_name, &joined.join(" "), &contact.file_as, &contact.company, email];
    let shown = candidates.into_iter().find(|name| !name.trim().is_empty()).unwrap_or_default();
    lines.property("FN").text(shown);
    lines.property("N").texts(
        ";",
        [
            contact.surname.as_str(),
            &contact.given_name,
            &contact.middle_name,
            &contact.title,
            &contact.generation,
        ],
    );
    lines.text("NICKNAME", &contact.nickname);
    lines.text("SORT-STRING", &contact.file_as);
    lines.text("X-INITIALS", &contact.initials);
    lines.text("X-PHONETIC-FIRST-NAME", &contact.yomi_given_name);
    lines.text("X-PHONETIC-LAST-NAME", &contact.yomi_surname);
    lines.text("X-PHONETIC-ORG", &contact.yomi_company);
}

fn work(lines: &mut Lines, contact: &Contact) {
    match (contact.company.as_str(), contact.department.as_str()) {
        ("", "") => {}
        (company, "") => lines.text("ORG", company),
        (company, department) => lines.property("ORG").texts(";", [company, department]),
    }
    lines.text("TITLE", &contact.job_title);
    lines.text("ROLE", &contact.profession);
    lines.text("X-OFFICE-LOCATION", &contact.office_location);
    lines.text("X-MANAGER", &contact.manager);
    lines.text("X-ASSISTANT", &contact.assistant);
    if !contact.business_home_page.is_empty() {
        // RFC 2426 has no escapes in addresses, but those who read it undo them everywhere.
        lines.property("URL").parameter("TYPE", "WORK").text(&contact.business_home_page);
    }
}

fn telephones(lines: &mut Lines, contact: &Contact) {
    let home = contact.home_phones.iter().map(|number| ("HOME", number));
    let business = contact.business_phones.iter().map(|number| ("WORK", number));
    let mobile = std::iter::once(("CELL", &contact.mobile_phone));
    for (kind, number) in home.chain(business).chain(mobile) {
        if !number.is_empty() {
            lines.property("TEL").parameter("TYPE", kind).text(number);
        }
    }
}

fn postal(lines: &mut Lines, kind: &str, address: &PostalAddress) {
    if address.is_empty() {
        return;
    }
    lines.property("ADR").parameter("TYPE", kind).texts(
        ";",
        [
            "",
            "",
            &address.street,
            &address.city,
            &address.state,
            &address.postal_code,
            &address.country,
        ],
    );
}

fn personal(lines: &mut Lines, contact: &Contact) {
    lines.text("X-SPOUSE", &contact.spouse);
    for child in &contact.children {
        lines.text("X-CHILD", child);
    }
    lines.text("NOTE", &contact.notes);
    if !contact.categories.is_empty() {
        lines.property("CATEGORIES").texts(",", contact.categories.iter().map(String::as_str));
    }
}

/// The type of a picture as vCard has it: `image/jpeg` is `JPEG`.
fn image_type(content_type: &str) -> String {
    let subtype = content_type.split(';').next().unwrap_or_default().trim();
    let (kind, subtype) = subtype.split_once('/').unwrap_or_default();
    if kind.eq_ignore_ascii_case("image") { subtype.to_ascii_uppercase() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use mailkeep_model::AttachmentInfo;

    use super::*;
    use crate::photo_in_vcard;

    #[test]
    fn a_photograph_comes_back_or_none_does() {
        let of = |content_type: &str, bytes: Vec<u8>| {
            let info =
                AttachmentInfo { content_type: content_type.to_owned(), ..Default::default() };
            Attachment { info, bytes }
        };
        let contact = Contact { notes: "PHOTO;ENCODING=b:AAAA".to_owned(), ..Contact::default() };
        for photo in [of("image/jpeg", vec![1; 5000]), of("image/svg+xml", vec![]), of("", vec![2])]
        {
            let vcf = vcard(&contact, Some(&photo));
            assert_eq!(photo_in_vcard(&vcf), Some(photo));
            assert_eq!(photo_in_vcard(&vcf[..vcf.len() / 2]), None);
        }
        assert_eq!(photo_in_vcard(&vcard(&contact, None)), None);
        assert_eq!(photo_in_vcard(b"PHOTO;ENCODING=b:*\r\nEND:VCARD"), None);
    }

    #[test]
    fn a_contact_of_which_little_is_known_still_has_a_name() {
        let shown = |contact: &Contact| {
            let vcf = String::from_utf8(vcard(contact, None)).unwrap();
            vcf.lines().find_map(|line| line.strip_prefix("FN:").map(str::to_owned))
        };
        let parts =
            Contact { given_name: "Ann".into(), surname: "Lee".into(), ..Contact::default() };
        assert_eq!(shown(&parts).as_deref(), Some("Ann Lee"));
        let company = Contact { company: "Story Ltd.".into(), ..Contact::default() };
        assert_eq!(shown(&company).as_deref(), Some("Story Ltd."));
        assert_eq!(shown(&Contact::default()).as_deref(), Some(""));
    }
}

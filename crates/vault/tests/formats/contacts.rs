//! Made-up contacts, each with other things known of it.

use mailkeep_model::{Contact, Person, PostalAddress, Sensitivity};
use time::{Date, Duration, macros::datetime};

/// Texts that formats stumble over.
pub(crate) const TEXTS: [&str; 9] = [
    "Plan",
    "Überblick; Zahlen, Fragen \\ Antworten",
    "two\nlines\r\nand a third",
    "会議の予定 – 第四四半期の売上高と来年度の予算について、そして長い長い長い題名の折り返し",
    "👩‍👩‍👧 family: \"quoted\" 'n' ^caret",
    "x:y;z=1,BEGIN:VEVENT",
    "trailing backslash\\",
    "سلام",
    "a\u{85}b\u{2028}c",
];

/// One of them; those that hold line ends or separators of lines only where `long` texts go.
pub(crate) fn line(number: usize) -> String {
    [TEXTS[0], TEXTS[1], TEXTS[3], TEXTS[4], TEXTS[5], TEXTS[6], TEXTS[7]][number % 7].to_owned()
}

pub(crate) fn contact(n: usize) -> Contact {
    let some = |bit: usize, text: String| if (n >> bit) & 1 == 1 { text } else { String::new() };
    let address = |bit: usize| {
        if (n >> bit) & 1 == 0 {
            return PostalAddress::default();
        }
        PostalAddress {
            street: format!("Street {n}, back; left\nfloor {bit}"),
            city: line(n + bit),
            state: some((bit + 1) % 7, "State".into()),
            postal_code: format!("{:05}", n * 7 + bit),
            country: "Land".into(),
        }
    };
    let created = datetime!(2024-01-31 08:00 UTC) + Duration::hours(n as i64 * 31);
    let birthday =
        Date::from_calendar_date(1950 + n as i32 % 60, time::Month::February, 1 + n as u8 % 28);
    Contact {
        display_name: format!("{} {n}", line(n)),
        file_as: some(0, format!("{n}, {}", line(n))),
        title: some(1, "Dr.".into()),
        given_name: line(n + 1),
        middle_name: some(2, "M.".into()),
        surname: line(n + 2),
        generation: some(3, "Jr.".into()),
        initials: some(4, "A.B.".into()),
        nickname: some(5, line(n + 3)),
        yomi_given_name: some(6, "はなこ".into()),
        yomi_surname: some(6, "やまだ".into()),
        yomi_company: some(5, "かいしゃ".into()),
        company: some(0, format!("{} Ltd.", line(n + 4))),
        department: some(1, line(n + 5)),
        office_location: some(2, "4/17".into()),
        job_title: some(3, line(n)),
        profession: some(4, "Engineer".into()),
        assistant: some(5, "Ben Moor".into()),
        manager: some(6, line(n + 1)),
        spouse: some(0, line(n + 2)),
        children: (0..n % 3).map(|child| format!("Child {child}, {}", line(child))).collect(),
        emails: (0..n % 4)
            .map(|e| Person { name: line(n + e), address: format!("p{n}.{e}@people.example") })
            .collect(),
        im_addresses: (0..n % 3)
            .map(|i| if i == 0 { format!("sip:p{n}@people.example") } else { format!("p{n}") })
            .collect(),
        home_phones: (0..n % 3).map(|p| format!("+49 30 {n}-{p}")).collect(),
        business_phones: (0..n % 2).map(|p| format!("+1 (555) {n:04} x{p}")).collect(),
        mobile_phone: some(1, format!("0170/{n}")),
        home_address: address(2),
        business_address: address(3),
        other_address: address(4),
        business_home_page: some(3, "https://people.example/?a=1,2;b".into()),
        birthday: birthday.ok().filter(|_| n % 2 == 1),
        notes: some(2, TEXTS[n % 8].to_owned()),
        categories: (0..n % 3).map(|c| format!("Cat {c}, {}", line(c))).collect(),
        sensitivity: [
            Sensitivity::Normal,
            Sensitivity::Personal,
            Sensitivity::Private,
            Sensitivity::Confidential,
        ][n % 4],
        created: Some(created),
        modified: Some(created + Duration::minutes(5)),
    }
}

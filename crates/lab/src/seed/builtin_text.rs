//! Texts of the built-in mail. All of it is made up; the domains end in `.example`.

/// A letter to `{name}`.
pub(super) struct Template {
    /// The other side; `None` is a colleague.
    pub(super) from: Option<(&'static str, &'static str)>,
    pub(super) subject: &'static str,
    pub(super) html: bool,
    pub(super) body: &'static str,
}

const fn text(
    from: Option<(&'static str, &'static str)>,
    subject: &'static str,
    body: &'static str,
) -> Template {
    Template { from, subject, html: false, body }
}

const fn html(
    from: Option<(&'static str, &'static str)>,
    subject: &'static str,
    body: &'static str,
) -> Template {
    Template { from, subject, html: true, body }
}

pub(super) const PEOPLE: &[&str] = &[
    "Ann Lee",
    "Bruno Keller",
    "Carla Rossi",
    "Deniz Kaya",
    "Emil Novak",
    "Farah Aziz",
    "Greta Holm",
];

const HARBOUR: Option<(&str, &str)> = Some(("Orla Byrne", "orla.byrne@harbourfreight.example"));
const PAPER: Option<(&str, &str)> = Some(("Tomasz Zieliński", "t.zielinski@papierwerk.example"));
const DESIGN: Option<(&str, &str)> = Some(("Mei Tanaka", "mei@kumo-design.example"));
const NEWS: Option<(&str, &str)> = Some(("Weekly Digest", "digest@newsroom.example"));

pub(super) const LETTERS: &[Template] = &[
    text(
        HARBOUR,
        "Berth for Tuesday",
        "Hello {name},\n\nwe have kept berth 4 for you on Tuesday morning. The crane is free from seven.\nPlease send the list of containers by noon on Monday.\n\nOrla\n",
    ),
    text(
        None,
        "Keys for the store room",
        "Hi {name},\n\nthe keys are back at the desk downstairs. Somebody had taken both.\n",
    ),
    text(
        PAPER,
        "Angebot 2026-118 / Preisänderung",
        "Guten Tag {name},\n\ndie Preise für Wellpappe ändern sich zum 1. Oktober. Die neue Liste folgt.\n\nMit freundlichen Grüßen\nTomasz Zieliński\n",
    ),
    text(
        None,
        "Lunch on Thursday",
        "Would half past twelve suit you? The place by the bridge has reopened.\n",
    ),
    text(
        DESIGN,
        "ロゴの最終版について",
        "{name} 様\n\nロゴの最終版をお送りします。色は二つとも確認済みです。\n\n田中\n",
    ),
    text(
        None,
        "Minutes of the Monday round",
        "1. Two orders are late; Harbour knows.\n2. The new scanner works.\n3. {name} looks into the returns.\n\nNext time: 10 o'clock, the small room.\n",
    ),
    text(
        HARBOUR,
        "Re: Damaged pallets",
        "Dear {name},\n\nphotographs were taken before unloading. I shall send them with the report.\n\nOrla\n",
    ),
    text(
        NEWS,
        "This week in logistics",
        "- Ports report shorter waiting times.\n- Rail strike averted.\n- How to store paper in humid months.\n\nYou get this because you asked for it.\n",
    ),
    text(
        None,
        "",
        "(no subject, sorry) The alarm code is unchanged, the paper copy in the drawer is out of date.\n",
    ),
];

pub(super) const HTML: &[Template] = &[
    html(
        NEWS,
        "Autumn catalogue",
        "<html><body><h1>Autumn</h1><p>Dear {name}, the <a href=\"https://newsroom.example/autumn\">catalogue</a> is out.</p><table><tr><td>Paper</td><td>&euro; 12</td></tr></table></body></html>\n",
    ),
    html(
        None,
        "New opening hours",
        "<p>From <b>1 October</b> we open at <i>eight</i>.</p>\n<p>See <a href=\"https://intranet.lab.example/hours\">intranet.lab.example/hours</a>.</p>\n",
    ),
];

/// The text of a link shows one domain, its target is another one.
pub(super) const LINKS: &[Template] = &[
    html(
        Some(("Payroll", "payroll@salary-notice.example")),
        "Your payslip is ready",
        "<p>Dear {name},</p><p>sign in to see it: <a href=\"https://collect.salary-notice.example/login?id=7\">https://payroll.lab.example/payslips</a></p>\n",
    ),
    html(
        HARBOUR,
        "Tracking",
        "<p>Your shipment: <a href=\"https://track.harbourfreight.example/4711\">track.harbourfreight.example</a></p>\n",
    ),
    html(
        Some(("Mail team", "noreply@mailbox-quota.example")),
        "Mailbox almost full",
        "<p>{name}, your mailbox is almost full. <a href=\"http://quota.mailbox-quota.example/\">www.lab.example</a></p>\n",
    ),
];

/// Test card numbers of the payment industry, and numbers that only look like some.
pub(super) const CARDS: &[Template] = &[
    text(
        None,
        "Card for the hotel",
        "{name}, please book with the company card: 4111 1111 1111 1111, valid to 12/28.\n",
    ),
    text(
        None,
        "Order numbers",
        "The two orders are 4111 1111 1111 1112 and 5500-0000-0000-0005. Neither is paid.\n",
    ),
    text(
        HARBOUR,
        "Container numbers",
        "Containers 1234 5678 9012 3456 and 4999 9999 9999 9991 are on the quay.\n",
    ),
];

pub(super) const ATTACHMENTS: &[Template] = &[
    text(None, "Stock list", "Hi {name},\n\nthe list as of today is attached.\n"),
    text(None, "Bestand", "Hallo {name}, anbei der Überblick.\n"),
];

pub(super) const OUTGOING: &[Template] = &[
    text(
        HARBOUR,
        "Re: Berth for Tuesday",
        "Hello,\n\nthe list is below. Twelve containers, two of them cooled.\n\nKind regards\n",
    ),
    text(
        PAPER,
        "AW: Angebot 2026-118",
        "Guten Tag,\n\nwir nehmen das Angebot an. Bitte liefern Sie bis zum 15.\n",
    ),
    text(None, "Re: Lunch on Thursday", "Yes, see you there.\n"),
    html(DESIGN, "Re: ロゴ", "<p>ありがとうございます。<br>We take the second one.</p>\n"),
    text(None, "Returns", "I looked into them: three of five were ours.\n"),
];

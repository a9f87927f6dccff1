//! India, China, Japan, Korea and South-East Asia.

use super::{
    super::checks::{
        day, ends_with, mod_11_2, number, value, verhoeff, weighted, yymmdd, yyyymmdd,
    },
    CheckDigit, DRIVING, Entity, Form, IDENTITY, Look, PASSPORT, Structure, TAX, Words, any, row,
    varied,
};

pub(super) const ENTITIES: &[Entity] = &[
    // UIDAI, "Aadhaar numbering scheme" (2009): Verhoeff; never begins with 0 or 1.
    row(
        "IN_AADHAAR",
        "Indian Aadhaar number",
        CheckDigit,
        &["DDDD~DDDD~DDDD", "DDDD:DDDD:DDDD"],
        aadhaar,
        &[IDENTITY, &["aadhaar", "aadhar", "uidai", "uid", "आधार"]],
    ),
    // Income Tax Department, "Structure of PAN"; the fourth letter is the kind of holder.
    row(
        "IN_PAN",
        "Indian permanent account number",
        Structure,
        &["LLLLLD{4}L"],
        pan,
        &[
            TAX,
            &["pan", "pan no", "pan card", "permanent account number", "pan number", "income tax"],
        ],
    ),
    row("IN_PAN", "Indian permanent account number", Look, &["LLLLLD{4}L"], any, &[]).upper(),
    row(
        "IN_PASSPORT",
        "Indian passport",
        Form,
        &["LD{7}", "L DD DDDDD"],
        indian_passport,
        &[PASSPORT],
    ),
    row(
        "IN_VOTER",
        "Indian voter identity",
        Form,
        &["LLLD{7}"],
        varied,
        &[&["voter", "voter id", "epic", "vote", "election", "elector"]],
    ),
    // GB 11643-1999: ISO/IEC 7064 MOD 11-2 behind region and date.
    row(
        "CN_RESIDENT_ID",
        "Chinese resident number",
        Structure,
        &["D{17}X", "D{6} D{8} DDDX"],
        china,
        &[IDENTITY, &["身份证", "身份证号", "身份證", "公民身份号码", "证件号码", "resident id"]],
    ),
    row("CN_PASSPORT", "Chinese passport", Words, &["LD{8}", "LLD{7}"], any, &[PASSPORT]),
    // 総務省令第85号 (2014), article 5.
    row(
        "JP_MY_NUMBER",
        "Japanese My Number",
        CheckDigit,
        &["D{12}", "DDDD DDDD DDDD", "DDDD-DDDD-DDDD"],
        my_number,
        &[IDENTITY, &["マイナンバー", "個人番号", "my number", "mynumber"]],
    ),
    row("JP_PASSPORT", "Japanese passport", Words, &["LLD{7}"], any, &[PASSPORT]),
    row(
        "JP_DRIVING_LICENCE",
        "Japanese driving licence",
        Words,
        &["D{12}"],
        varied,
        &[DRIVING, &["免許証番号", "運転免許証"]],
    ),
    // 주민등록법 시행규칙. Numbers given since October 2020 have no check digit.
    row("KR_RRN", "Korean resident number", Structure, &["D{6}-D{7}"], rrn, &[RRN]),
    row("KR_RRN", "Korean resident number", Form, &["D{13}"], rrn, &[RRN]),
    row("KR_FRN", "Korean foreigner's number", Structure, &["D{6}-D{7}"], frn, &[FRN]),
    row("KR_FRN", "Korean foreigner's number", Form, &["D{13}"], frn, &[FRN]),
    row(
        "KR_PASSPORT",
        "Korean passport",
        Form,
        &["LDDDLDDDD", "LD{8}"],
        korean_passport,
        &[PASSPORT],
    ),
    row(
        "KR_DRIVER_LICENSE",
        "Korean driving licence",
        Form,
        &["DD-DD-D{6}-DD", "DD DD D{6} DD", "D{12}"],
        korean_licence,
        &[DRIVING],
    ),
    // 국세청, "사업자등록번호": weights 1 3 7 1 3 7 1 3 5.
    row(
        "KR_BRN",
        "Korean business number",
        CheckDigit,
        &["DDD-DD-D{5}", "D{10}"],
        brn,
        &[&["사업자등록번호", "사업자", "brn", "business registration"]],
    ),
    // 內政部戶政司: the letter counts as two digits.
    row(
        "TW_NATIONAL_ID",
        "Taiwanese identity number",
        CheckDigit,
        &["LD{9}"],
        taiwan,
        &[IDENTITY, &["身分證", "身份證字號", "身分證字號", "統一編號"]],
    ),
    // Immigration Department, "HKID check digit", modulus 11.
    row(
        "HK_ID",
        "Hong Kong identity card",
        CheckDigit,
        &["LL?D{6}(X)", "LL?D{6}X"],
        hong_kong,
        &[IDENTITY, &["hkid", "身份證", "身份證號碼", "hong kong id"]],
    ),
    // National Registration Act; check letters as used by ICA.
    row(
        "SG_NRIC_FIN",
        "Singaporean NRIC or FIN",
        CheckDigit,
        &["LD{7}L"],
        nric,
        &[IDENTITY, &["nric", "fin", "ic no", "nric no"]],
    ),
    row("SG_NRIC_FIN", "Singaporean NRIC or FIN", Look, &["LD{7}L"], nric_prefix, &[]).upper(),
    // Jabatan Pendaftaran Negara, "MyKad": date, place of birth, serial.
    row("MY_KAD", "Malaysian MyKad", Structure, &["D{6}-DD-DDDD"], mykad, &[MYKAD]),
    row("MY_KAD", "Malaysian MyKad", Words, &["D{12}"], mykad, &[MYKAD]),
    // กรมการปกครอง: modulus 11 over 13 digits.
    row(
        "TH_TNIN",
        "Thai identity number",
        CheckDigit,
        &["D{13}", "D-DDDD-DDDDD-DD-D", "D DDDD DDDDD DD D"],
        thai,
        &[IDENTITY, &["เลขบัตรประชาชน", "เลขประจำตัวประชาชน", "บัตรประชาชน", "thai id", "tnin"]],
    ),
    // Kementerian Dalam Negeri, "NIK": place, date (women 40 added to the day), serial.
    row(
        "ID_NIK",
        "Indonesian identity number",
        Form,
        &["D{16}"],
        nik,
        &[IDENTITY, &["nik", "ktp", "e-ktp", "nomor induk kependudukan", "no ktp"]],
    ),
    row(
        "ID_NPWP",
        "Indonesian tax number",
        Form,
        &["DD.DDD.DDD.D-DDD.DDD"],
        varied,
        &[TAX, &["npwp", "nomor pokok wajib pajak"]],
    ),
    row(
        "PH_TIN",
        "Philippine taxpayer number",
        Form,
        &["DDD-DDD-DDD", "DDD-DDD-DDD-DDD", "D{9}", "D{12}"],
        ph_tin,
        &[TAX, &["bir", "bir tin"]],
    ),
    row(
        "VN_ID",
        "Vietnamese identity number",
        Words,
        &["D{12}", "D{9}"],
        vietnam,
        &[IDENTITY, &["cccd", "cmnd", "căn cước", "căn cước công dân", "chứng minh nhân dân"]],
    ),
    // NADRA, "CNIC": district, family, sex.
    row(
        "PK_CNIC",
        "Pakistani identity number",
        Form,
        &["D{5}-D{7}-D"],
        cnic,
        &[IDENTITY, &["cnic", "nicop", "شناختی کارڈ"]],
    ),
    row(
        "LK_NIC",
        "Sri Lankan identity number",
        Words,
        &["D{9}L", "D{12}"],
        sri_lanka,
        &[IDENTITY, &["nic", "nic no", "national identity card"]],
    ),
    row(
        "BD_NID",
        "Bangladeshi national number",
        Words,
        &["D{10}", "D{13}", "D{17}"],
        varied,
        &[IDENTITY, &["nid", "জাতীয় পরিচয়পত্র"]],
    ),
];

const RRN: &[&str] = &["주민등록번호", "주민번호", "rrn", "resident registration", "korean rrn"];
const FRN: &[&str] =
    &["외국인등록번호", "외국인", "frn", "foreigner registration", "alien registration"];
const MYKAD: &[&str] =
    &["mykad", "ic number", "ic no", "no. kad pengenalan", "kad pengenalan", "nric", "no kp"];

fn aadhaar(digits: &[u8]) -> bool {
    digits[0] >= b'2' && verhoeff(digits) && !digits.iter().eq(digits.iter().rev())
}

fn pan(characters: &[u8]) -> bool {
    b"ABCFGHJLPTK".contains(&characters[3]) && number(&characters[5..9]) > 0
}

fn indian_passport(characters: &[u8]) -> bool {
    !b"QXZ".contains(&characters[0]) && characters[1] != b'0' && characters[7] != b'0'
}

fn china(characters: &[u8]) -> bool {
    matches!(characters[17], b'0'..=b'9' | b'X')
        && matches!(number(&characters[..2]), 11..=15 | 21..=23 | 31..=37 | 41..=46 | 50..=54 | 61..=65 | 71 | 81..=83)
        && yyyymmdd(&characters[6..14])
        && mod_11_2(characters)
}

fn my_number(digits: &[u8]) -> bool {
    let rest = weighted(&digits[..11], &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    ends_with(digits, if rest <= 1 { 0 } else { 11 - rest }) && varied(digits)
}

fn rrn(digits: &[u8]) -> bool {
    yymmdd(digits) && matches!(digits[6], b'1'..=b'4')
}

fn frn(digits: &[u8]) -> bool {
    yymmdd(digits) && matches!(digits[6], b'5'..=b'8')
}

fn korean_passport(characters: &[u8]) -> bool {
    b"MSROD".contains(&characters[0])
}

fn korean_licence(digits: &[u8]) -> bool {
    matches!(number(&digits[..2]), 11..=26 | 28)
}

fn brn(digits: &[u8]) -> bool {
    let sum = weighted(&digits[..9], &[1, 3, 7, 1, 3, 7, 1, 3, 5]) + value(digits[8]) * 5 / 10;
    number(&digits[..3]) > 100 && ends_with(digits, (10 - sum % 10) % 10) && varied(digits)
}

fn taiwan(characters: &[u8]) -> bool {
    let Some(place) = b"ABCDEFGHJKLMNPQRSTUVXYWZIO".iter().position(|&l| l == characters[0]) else {
        return false;
    };
    let letter = place as u32 + 10;
    let sum =
        letter / 10 + letter % 10 * 9 + weighted(&characters[1..], &[8, 7, 6, 5, 4, 3, 2, 1, 1]);
    // 8 and 9 are foreigners since 2021.
    matches!(characters[1], b'1' | b'2' | b'8' | b'9') && sum.is_multiple_of(10)
}

fn hong_kong(characters: &[u8]) -> bool {
    let (&last, body) = characters.split_last().expect("the shape has eight or nine");
    let (letters, digits) = body.split_at(body.len() - 6);
    let first = if letters.len() == 2 { value(letters[0]) } else { 36 };
    let sum =
        first * 9 + value(letters[letters.len() - 1]) * 8 + weighted(digits, &[7, 6, 5, 4, 3, 2]);
    let check = match last {
        b'A' => 10,
        b'0'..=b'9' => value(last),
        _ => return false,
    };
    (sum + check).is_multiple_of(11)
}

fn nric(characters: &[u8]) -> bool {
    let sum = weighted(&characters[1..8], &[2, 7, 6, 5, 4, 3, 2]);
    let check = match characters[0] {
        b'S' => b"JZIHGFEDCBA"[sum as usize % 11],
        b'T' => b"JZIHGFEDCBA"[(sum + 4) as usize % 11],
        b'F' => b"XWUTRQPNMLK"[sum as usize % 11],
        b'G' => b"XWUTRQPNMLK"[(sum + 4) as usize % 11],
        b'M' => b"XWUTRQPNJLK"[(sum + 3) as usize % 11],
        _ => return false,
    };
    characters[8] == check
}

/// Born or registered, citizen or not.
fn nric_prefix(characters: &[u8]) -> bool {
    matches!(characters[0], b'S' | b'T' | b'F' | b'G' | b'M')
}

fn mykad(digits: &[u8]) -> bool {
    yymmdd(digits)
        && matches!(number(&digits[6..8]), 1..=16 | 21..=59 | 60..=68 | 71 | 72 | 74..=79 | 82..=93 | 98 | 99)
}

fn thai(digits: &[u8]) -> bool {
    let sum = weighted(&digits[..12], &[13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
    // The second and third digit are the province.
    digits[0] != b'0'
        && matches!(number(&digits[1..3]), 10..=27 | 30..=58 | 60..=67 | 70..=77 | 80..=86 | 90..=96)
        && ends_with(digits, (11 - sum % 11) % 10)
}

fn nik(digits: &[u8]) -> bool {
    let day_of_month = number(&digits[6..8]) % 40;
    let day_digits = [b'0' + (day_of_month / 10) as u8, b'0' + (day_of_month % 10) as u8];
    matches!(number(&digits[..2]), 11..=21 | 31..=36 | 51..=53 | 61..=65 | 71..=76 | 81 | 82 | 91..=96)
        && day(&digits[8..10], &day_digits)
        && number(&digits[12..]) > 0
}

fn ph_tin(digits: &[u8]) -> bool {
    varied(digits)
}

fn vietnam(digits: &[u8]) -> bool {
    digits.len() == 9 && varied(digits)
        || digits.len() == 12 && (1..=96).contains(&number(&digits[..3]))
}

fn cnic(digits: &[u8]) -> bool {
    matches!(digits[0], b'1'..=b'8') && varied(digits)
}

fn sri_lanka(characters: &[u8]) -> bool {
    let days = match characters.len() {
        10 if matches!(characters[9], b'V' | b'X') => number(&characters[2..5]),
        12 => number(&characters[4..7]),
        _ => return false,
    };
    matches!(days, 1..=366 | 501..=866)
}

//! Text as its reader takes it in: without what cannot be seen, without case and diacritics, with
//! letters that only look like Latin ones read as those.

use std::ops::Range;

use unicode_normalization::char::decompose_compatible;

/// A folded text and the way back.
#[derive(Debug, Default)]
pub(crate) struct Folded {
    pub(crate) text: String,
    /// Where pieces begin: in the folded text, in the readable one.
    steps: Vec<(u32, u32)>,
    /// Words that mix Latin letters with look-alikes of other scripts, and where the first is.
    pub(crate) mixed: usize,
    pub(crate) first_mixed: Range<usize>,
    /// Letters of alphabets made for formulas (U+1D400…).
    pub(crate) fancy: usize,
    /// The longest run of words of one letter.
    pub(crate) spaced: usize,
    /// Words.
    pub(crate) words: usize,
    /// The text was longer than what is folded.
    pub(crate) cut: bool,
}

impl Folded {
    /// Where in the readable text a piece of the folded one stands.
    pub(crate) fn place(&self, piece: Range<usize>) -> Range<usize> {
        let start = self.source(piece.start);
        // The last byte, so that what was left out behind it does not belong to it.
        start..(self.source(piece.end.saturating_sub(1)) + 1).max(start)
    }

    fn source(&self, at: usize) -> usize {
        let index = self.steps.partition_point(|&(folded, _)| folded as usize <= at);
        let Some(&(folded, source)) = index.checked_sub(1).and_then(|i| self.steps.get(i)) else {
            return at;
        };
        source as usize + (at - folded as usize)
    }
}

/// Bytes of one text that are folded: wording says what it says early.
const LONGEST: usize = 1 << 20;

/// Folds a readable text without its hidden pieces.
pub(crate) fn fold(readable: &str, hidden: &[Range<usize>]) -> Folded {
    let mut folder = Folder {
        out: Folded {
            text: String::with_capacity(readable.len().min(LONGEST)),
            ..Folded::default()
        },
        word: Word::default(),
        run: 0,
        lower: false,
    };
    folder.out.cut = readable.len() > LONGEST;
    let mut hidden = hidden.iter().peekable();
    let readable = &readable[..readable.floor_char_boundary(LONGEST)];
    let mut at = 0;
    while at < readable.len() {
        while hidden.peek().is_some_and(|piece| piece.end <= at) {
            hidden.next();
        }
        if let Some(piece) = hidden.peek()
            && piece.start <= at
        {
            at = piece.end;
            continue;
        }
        let end = hidden.peek().map_or(readable.len(), |piece| piece.start.min(readable.len()));
        folder.piece(readable, at..end);
        at = end;
    }
    folder.end_word(readable.len());
    folder.out
}

#[derive(Default)]
struct Word {
    /// Where it begins in the folded text, and in the readable one.
    start: usize,
    source: usize,
    letters: usize,
    latin: usize,
    look_alike: usize,
}

struct Folder {
    out: Folded,
    word: Word,
    run: usize,
    /// The last letter was a small one.
    lower: bool,
}

impl Folder {
    fn piece(&mut self, readable: &str, piece: Range<usize>) {
        let bytes = readable.as_bytes();
        let mut at = piece.start;
        while at < piece.end {
            let byte = bytes[at];
            let run = bytes[at..piece.end].iter().take_while(|byte| is_plain(**byte)).count();
            if run > 0 {
                self.plain(&readable[at..at + run], at);
                at += run;
                continue;
            }
            if byte.is_ascii() {
                self.ascii(byte, at);
                at += 1;
                continue;
            }
            let Some(c) = readable[at..].chars().next() else { return };
            self.other(c, at);
            at += c.len_utf8();
        }
    }

    /// Small letters and digits, which stay what they are: most of most texts.
    fn plain(&mut self, run: &str, at: usize) {
        self.letter(at);
        self.word.letters += run.len() - 1;
        self.word.latin += run.bytes().filter(u8::is_ascii_lowercase).count();
        self.lower = run.bytes().next_back().is_some_and(|byte| byte.is_ascii_lowercase());
        self.step(at);
        self.out.text.push_str(run);
    }

    fn ascii(&mut self, byte: u8, at: usize) {
        if byte.is_ascii_alphanumeric() {
            // A capital I in the middle of a word is read as the l that it is drawn like.
            let within = self.word.letters > 0
                && self.out.text.as_bytes().last().is_some_and(u8::is_ascii_lowercase)
                && self.lower;
            self.lower = byte.is_ascii_lowercase() || byte == b'I' && within;
            self.letter(at);
            if byte == b'I' && within {
                self.word.latin += 1;
                return self.push('l', at);
            }
            self.word.latin += usize::from(byte.is_ascii_alphabetic());
            self.push(char::from(byte.to_ascii_lowercase()), at);
        } else if byte.is_ascii_whitespace() {
            self.space(at);
        } else {
            self.end_word(at);
            self.push(char::from(byte), at);
        }
    }

    fn other(&mut self, c: char, at: usize) {
        if is_invisible(c) {
            return;
        }
        if c.is_whitespace() {
            return self.space(at);
        }
        if ('\u{1d400}'..='\u{1d7ff}').contains(&c) {
            self.out.fancy += 1;
        }
        if let Some(letter) = small_capital(c) {
            self.out.fancy += 1;
            self.letter(at);
            self.word.latin += 1;
            return self.push(letter, at);
        }
        if let Some(latin) = look_alike(c) {
            self.letter(at);
            self.word.look_alike += 1;
            // As it is; the word's end knows whether it is one of a Latin word.
            return self.push(latin_or(c, latin, self.word.latin > 0), at);
        }
        match c {
            'ß' => {
                self.letter(at);
                self.push('s', at);
                return self.push('s', at);
            }
            '’' | '‘' | '`' | '´' => {
                self.end_word(at);
                return self.push('\'', at);
            }
            _ => {}
        }
        if !c.is_alphanumeric() {
            self.end_word(at);
            return self.push(c, at);
        }
        self.letter(at);
        for c in plain_letters(c) {
            self.word.latin += usize::from(c.is_ascii_alphabetic());
            for lower in c.to_lowercase() {
                self.push(lower, at);
            }
        }
    }

    fn letter(&mut self, at: usize) {
        if self.word.letters == 0 {
            self.word = Word { start: self.out.text.len(), source: at, ..Word::default() };
        }
        self.word.letters += 1;
    }

    fn space(&mut self, at: usize) {
        self.end_word(at);
        if !self.out.text.ends_with(' ') {
            self.push(' ', at);
        }
    }

    fn end_word(&mut self, at: usize) {
        let word = std::mem::take(&mut self.word);
        if word.letters == 0 {
            return;
        }
        self.out.words += 1;
        self.run = if word.letters == 1 { self.run + 1 } else { 0 };
        self.out.spaced = self.out.spaced.max(self.run);
        if word.latin > 0 && word.look_alike > 0 {
            if self.out.mixed == 0 {
                self.out.first_mixed = word.source..at;
            }
            self.out.mixed += 1;
            self.unmask(word.start);
        }
    }

    /// Reads the look-alikes of the last word as the Latin letters that it is meant to have.
    fn unmask(&mut self, start: usize) {
        if self.out.text[start..].chars().all(|c| look_alike(c).is_none()) {
            return;
        }
        let word: Vec<(usize, char)> = self.out.text[start..].char_indices().collect();
        let places: Vec<usize> = word.iter().map(|(at, _)| self.out.source(start + at)).collect();
        self.out.text.truncate(start);
        while self.out.steps.last().is_some_and(|&(folded, _)| folded as usize >= start) {
            self.out.steps.pop();
        }
        for ((_, c), place) in word.into_iter().zip(places) {
            self.push(look_alike(c).unwrap_or(c), place);
        }
    }

    fn push(&mut self, c: char, at: usize) {
        self.step(at);
        self.out.text.push(c);
    }

    /// Notes where what is pushed next comes from.
    fn step(&mut self, at: usize) {
        let folded = self.out.text.len();
        let continues = match self.out.steps.last() {
            Some(&(step, source)) => source as usize + (folded - step as usize) == at,
            None => folded == at,
        };
        if !continues {
            self.out.steps.push((small(folded), small(at)));
        }
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn latin_or(c: char, latin: char, in_latin: bool) -> char {
    if in_latin { latin } else { c.to_lowercase().next().unwrap_or(c) }
}

/// Texts are cut at [`LONGEST`].
fn small(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// The letters that are left of one when its diacritics are taken off.
pub(crate) fn plain_letters(c: char) -> Vec<char> {
    let mut letters = Vec::new();
    decompose_compatible(c, |c| letters.push(c));
    letters.retain(|c| !('\u{300}'..='\u{36f}').contains(c));
    letters
}

/// Characters that nobody sees, and those that only change how others look.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e01ef}')
}

/// The letter of a small capital (phonetic alphabets), with which headings are dressed.
fn small_capital(c: char) -> Option<char> {
    const CAPITALS: &[(char, char)] = &[
        ('ᴀ', 'a'),
        ('ʙ', 'b'),
        ('ᴄ', 'c'),
        ('ᴅ', 'd'),
        ('ᴇ', 'e'),
        ('ꜰ', 'f'),
        ('ɢ', 'g'),
        ('ʜ', 'h'),
        ('ɪ', 'i'),
        ('ᴊ', 'j'),
        ('ᴋ', 'k'),
        ('ʟ', 'l'),
        ('ᴍ', 'm'),
        ('ɴ', 'n'),
        ('ᴏ', 'o'),
        ('ᴘ', 'p'),
        ('ʀ', 'r'),
        ('ꜱ', 's'),
        ('ᴛ', 't'),
        ('ᴜ', 'u'),
        ('ᴠ', 'v'),
        ('ᴡ', 'w'),
        ('ʏ', 'y'),
        ('ᴢ', 'z'),
    ];
    CAPITALS.iter().find(|(capital, _)| *capital == c).map(|&(_, letter)| letter)
}

/// The Latin letter that a Cyrillic, Greek, Armenian or other letter is drawn like (a selection of
/// Unicode Technical Standard #39's confusables: those that stand in for letters of words).
pub(crate) fn look_alike(c: char) -> Option<char> {
    Some(match c {
        'а' | 'А' | 'α' | 'Α' | 'ɑ' => 'a',
        'в' | 'В' | 'Β' | 'Ь' | 'ь' => 'b',
        'с' | 'С' | 'ϲ' | 'ⅽ' => 'c',
        'ԁ' | 'ⅾ' => 'd',
        'е' | 'Е' | 'ё' | 'є' | 'Ε' | 'ε' => 'e',
        'ғ' | 'ϝ' => 'f',
        'ɡ' | 'ց' => 'g',
        'һ' | 'н' | 'Н' | 'Η' | 'Һ' => 'h',
        'і' | 'І' | 'ї' | 'ι' | 'Ι' | 'ı' | 'ɩ' | 'ӏ' | 'Ӏ' => 'i',
        'ј' | 'Ј' | 'ϳ' => 'j',
        'к' | 'К' | 'κ' | 'Κ' => 'k',
        'ⅼ' => 'l',
        'м' | 'М' | 'Μ' | 'ⅿ' => 'm',
        'ո' | 'η' | 'п' | 'Ν' => 'n',
        'о' | 'О' | 'ο' | 'Ο' | 'օ' | 'σ' => 'o',
        'р' | 'Р' | 'ρ' | 'Ρ' => 'p',
        'ԛ' => 'q',
        'г' | 'ꮁ' => 'r',
        'ѕ' | 'Ѕ' => 's',
        'т' | 'Т' | 'τ' | 'Τ' => 't',
        'υ' | 'ս' => 'u',
        'ν' | 'ѵ' => 'v',
        'ԝ' | 'ѡ' | 'ω' => 'w',
        'х' | 'Х' | 'χ' | 'Χ' => 'x',
        'у' | 'У' | 'γ' | 'Υ' | 'ү' => 'y',
        'Ζ' | 'ᴢ' => 'z',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_leads_back_to_where_it_stands() {
        let text = "Grüße,  d\u{200b}ein K\u{43e}nt\u{43e} XY";
        let folded = fold(text, &[]);
        assert_eq!(folded.text, "grusse, dein konto xy");
        for (piece, source) in [("gru", "Grü"), ("dein", "d\u{200b}ein"), ("xy", "XY")] {
            let at = folded.text.find(piece).unwrap();
            let place = folded.place(at..at + piece.len());
            let end = text.ceil_char_boundary(place.end);
            assert_eq!(&text[place.start..end], source);
        }
        assert_eq!(folded.mixed, 1);
        assert_eq!(&text[folded.first_mixed.clone()], "K\u{43e}nt\u{43e}");
    }

    #[test]
    fn words_of_another_script_are_left_as_they_are() {
        let folded = fold("привет мир αβγ", &[]);
        assert_eq!((folded.mixed, folded.text.as_str()), (0, "привет мир αβγ"));
    }

    #[test]
    fn what_nobody_sees_does_not_come_between_letters() {
        let text = "verXXXify";
        assert_eq!(fold(text, std::slice::from_ref(&(3..6))).text, "verify");
    }
}

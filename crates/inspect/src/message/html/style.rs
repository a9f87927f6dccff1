//! CSS as far as it decides whether text is seen (CSS Display, CSS Fonts, CSS Color).

/// How text looks, as far as it matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// Not displayed at all; nothing inside can undo it.
    gone: bool,
    /// Too small to be read; an element inside can set another size, and newsletters do so in
    /// every cell.
    tiny: bool,
    /// `visibility: hidden`, which an element inside can undo.
    unseen: bool,
}

impl Look {
    /// Whether nobody sees text that looks like this.
    pub(super) fn is_hidden(self) -> bool {
        self.gone || self.tiny || self.unseen
    }

    fn with(mut self, declarations: &str) -> Self {
        let mut color = "";
        let mut background = "";
        let mut clipped = false;
        let mut flat = false;
        for declaration in declarations.split(';') {
            let Some((name, value)) = declaration.split_once(':') else { continue };
            let value = value.trim();
            let value = value.strip_suffix("!important").unwrap_or(value).trim_end();
            let is = |known: &str| value.eq_ignore_ascii_case(known);
            match name.trim().to_ascii_lowercase().as_str() {
                "display" if is("none") => self.gone = true,
                "visibility" => self.unseen = is("hidden") || is("collapse"),
                "opacity" if number(value) == Some(0.0) => self.gone = true,
                "font-size" => self.tiny = number(value).is_some_and(|size| is_tiny(size, value)),
                "font" => {
                    let sizes = value.split([' ', '/']).find(|word| {
                        word.starts_with(|c: char| c.is_ascii_digit()) && word.contains("p")
                    });
                    if let Some(word) = sizes {
                        self.tiny = number(word).is_some_and(|size| is_tiny(size, word));
                    }
                }
                "text-indent" | "left" | "margin-left"
                    if number(value).is_some_and(|by| by <= FAR_AWAY) =>
                {
                    self.gone = true;
                }
                "overflow" => clipped = is("hidden"),
                "max-height" | "height" | "max-width" if number(value) == Some(0.0) => flat = true,
                "color" => color = value,
                "background" | "background-color" => background = value,
                _ => {}
            }
        }
        self.gone |= clipped && flat
            || color.eq_ignore_ascii_case("transparent")
            || !color.is_empty() && color.eq_ignore_ascii_case(background);
        self
    }
}

/// Pixels to the left of the page.
const FAR_AWAY: f64 = -900.0;

/// The number that a value begins with, whatever its unit.
fn number(value: &str) -> Option<f64> {
    let end = value.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '-' | '+'));
    value[..end.unwrap_or(value.len())].parse().ok()
}

/// One pixel or point is a dot; an em or a percentage is none.
fn is_tiny(size: f64, value: &str) -> bool {
    size <= 0.0 || size <= 1.0 && (value.ends_with("px") || value.ends_with("pt"))
}

/// The classes of a style sheet that hide text. Rules within `@media` are passed over: they hide
/// one of two forms of the same text, by the width of the screen.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    hiding: Vec<(String, Look)>,
}

/// Classes that hide something; a newsletter has a handful.
const MOST_CLASSES: usize = 50;

impl Sheet {
    /// Reads the content of a `<style>`.
    pub(super) fn read(&mut self, css: &str) {
        let mut rest = css;
        while let Some(open) = rest.find('{') {
            let selectors = rest[..open].rsplit(['}', ';']).next().unwrap_or_default();
            rest = &rest[open + 1..];
            if selectors.trim_start().starts_with('@') {
                rest = behind_block(rest);
                continue;
            }
            let Some(close) = rest.find('}') else { return };
            let look = Look::default().with(&rest[..close]);
            rest = &rest[close + 1..];
            if !look.is_hidden() {
                continue;
            }
            for selector in selectors.split(',') {
                let class = selector.trim().rsplit_once('.').map(|(_, class)| class);
                if let Some(class) = class
                    && self.hiding.len() < MOST_CLASSES
                    && class.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
                {
                    self.hiding.push((class.to_owned(), look));
                }
            }
        }
    }

    /// How text in an element looks whose parent's looks like `outer`.
    pub(super) fn look(
        &self,
        outer: Look,
        classes: Option<&str>,
        style: Option<&str>,
        hidden: bool,
    ) -> Look {
        let mut look = outer;
        if let Some(classes) = classes
            && !self.hiding.is_empty()
        {
            for class in classes.split_ascii_whitespace() {
                for (_, hiding) in self.hiding.iter().filter(|(name, _)| name == class) {
                    look.gone |= hiding.gone;
                    look.tiny |= hiding.tiny;
                    look.unseen |= hiding.unseen;
                }
            }
        }
        look.gone |= hidden;
        style.map_or(look, |style| look.with(style))
    }
}

/// Behind the `}` that closes a block whose `{` was read.
fn behind_block(css: &str) -> &str {
    let mut depth = 1_usize;
    for (at, byte) in css.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &css[at + 1..];
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hides(style: &str) -> bool {
        Look::default().with(style).is_hidden()
    }

    #[test]
    fn what_a_browser_does_not_show_is_hidden() {
        for style in [
            "display:none",
            "DISPLAY : None !important",
            "color:red;font-size:0",
            "font-size:1px",
            "font: 0px/0px arial",
            "visibility:hidden",
            "opacity:0",
            "max-height:0;overflow:hidden",
            "text-indent:-9999px",
            "color:#fff;background:#FFF",
            "color:transparent",
        ] {
            assert!(hides(style), "{style}");
        }
        for style in [
            "display:block",
            "font-size:1em",
            "font-size:10px",
            "font:12px arial",
            "opacity:0.5",
            "height:0",
            "color:#fff",
            "",
            ":::;;",
        ] {
            assert!(!hides(style), "{style}");
        }
    }

    #[test]
    fn a_size_inside_makes_text_visible_again_and_display_none_stays() {
        let inner = |outer: &str| Look::default().with(outer).with("font-size:14px;display:block");
        assert!(!inner("font-size:0").is_hidden());
        assert!(inner("display:none").is_hidden());
    }

    #[test]
    fn classes_hide_unless_only_on_some_screens() {
        let mut sheet = Sheet::default();
        sheet.read(
            "@import 'x'; @media (max-width:1px) { .m { display:none } } p.a, .b{font-size:0}",
        );
        let look = |class| sheet.look(Look::default(), Some(class), None, false).is_hidden();
        assert!(look("x a") && look("b") && !look("m"));
    }
}

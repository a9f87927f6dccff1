//! Writing of JSON without a tree in between: a page of a delta query has thousands of values.

use serde::Serialize;

/// An object or array being written. Keys are our own and need no escaping.
pub(crate) struct Json {
    out: Vec<u8>,
    /// Whether a comma is due before the next member.
    comma: bool,
}

impl Json {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { out: Vec::with_capacity(bytes), comma: false }
    }

    pub(crate) fn object(&mut self, members: impl FnOnce(&mut Self)) {
        self.nested(b'{', b'}', members);
    }

    pub(crate) fn array(&mut self, elements: impl FnOnce(&mut Self)) {
        self.nested(b'[', b']', elements);
    }

    fn nested(&mut self, open: u8, close: u8, inside: impl FnOnce(&mut Self)) {
        self.separate();
        self.out.push(open);
        self.comma = false;
        inside(self);
        self.out.push(close);
        self.comma = true;
    }

    /// The name of the next value.
    pub(crate) fn key(&mut self, name: &str) -> &mut Self {
        self.separate();
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.comma = false;
        self
    }

    pub(crate) fn value(&mut self, value: &(impl Serialize + ?Sized)) {
        self.separate();
        if serde_json::to_writer(&mut self.out, value).is_err() {
            self.out.extend_from_slice(b"null");
        }
        self.comma = true;
    }

    pub(crate) fn null(&mut self) {
        self.value(&());
    }

    /// A string whose content is written by `write` and needs no escaping.
    pub(crate) fn raw_string(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.separate();
        self.out.push(b'"');
        write(&mut self.out);
        self.out.push(b'"');
        self.comma = true;
    }

    pub(crate) fn member(&mut self, name: &str, value: &(impl Serialize + ?Sized)) {
        self.key(name).value(value);
    }

    pub(crate) fn time(&mut self, name: &str, unix: i64) {
        self.key(name).raw_string(|out| crate::clock::push_iso(out, unix));
    }

    fn separate(&mut self) {
        if self.comma {
            self.out.push(b',');
            self.comma = false;
        }
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_json() {
        let mut json = Json::with_capacity(64);
        json.object(|json| {
            json.member("a", "q\"\n");
            json.key("b").array(|json| {
                json.value(&1);
                json.object(|_| {});
                json.null();
            });
            json.time("c", 0);
        });
        let text = String::from_utf8(json.finish()).unwrap();
        assert_eq!(text, r#"{"a":"q\"\n","b":[1,{},null],"c":"1970-01-01T00:00:00Z"}"#);
    }
}

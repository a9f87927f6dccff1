//! What a method and a path ask for, by the schema alone.

use super::schema::{Kind, Schema};

/// Keys that are names of members, too: the default folder of contacts by its role.
const ROLES: &[(&str, &str)] = &[("contactFolders", "contacts")];

/// Where a path leads.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    /// With every key as `{id}`: `/users/{id}/messages/{id}`.
    pub(crate) template: String,
    pub(crate) kind: Kind,
    pub(crate) form: Form,
    /// The last name in the path, which some query options go with.
    pub(crate) name: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A list of entities.
    Collection,
    /// One of them, or a property.
    One,
    /// Bytes.
    Value,
    /// That something belongs to something else.
    Reference,
    /// Something to do, with the parameters that it takes.
    Action(Vec<(String, Kind)>),
    Function,
    Batch,
}

impl Resource {
    /// Follows a path behind the version.
    pub(crate) fn find(schema: &Schema, path: &str) -> Result<Self, String> {
        let segments: Vec<String> =
            path.split('/').filter(|segment| !segment.is_empty()).flat_map(keyed).collect();
        let (first, rest) = segments.split_first().ok_or("the path is empty")?;
        let mut found = match first.as_str() {
            "$batch" if rest.is_empty() => {
                let kind = Kind::parse("Edm.Untyped");
                return Ok(Self {
                    template: "/$batch".into(),
                    kind,
                    form: Form::Batch,
                    name: first.clone(),
                });
            }
            root => {
                let kind = Schema::root(root).ok_or(format!("there is no /{root}"))?;
                let form = if kind.many { Form::Collection } else { Form::One };
                Self { template: format!("/{root}"), kind, form, name: root.to_owned() }
            }
        };
        for segment in rest {
            found = found.step(schema, segment)?;
        }
        Ok(found)
    }

    fn step(&self, schema: &Schema, segment: &str) -> Result<Self, String> {
        let Self { template, kind, form, .. } = self;
        let at = |template: String, kind: Kind, form: Form| Self {
            template,
            kind,
            form,
            name: segment.trim_end_matches("()").to_owned(),
        };
        if !matches!(form, Form::Collection | Form::One) {
            return Err(format!("nothing can follow {template}"));
        }
        let below = format!("{template}/{}", segment.trim_end_matches("()"));
        if segment == "$value" && *form == Form::One {
            return Ok(at(below, kind.clone(), Form::Value));
        }
        if segment == "$ref" && *form == Form::One {
            return Ok(at(below, kind.clone(), Form::Reference));
        }
        if let Some(operation) = schema.operation(kind, segment.trim_end_matches("()")) {
            let returns = operation.returns.unwrap_or_else(|| Kind::parse("Edm.Untyped"));
            let parameters = operation.parameters.iter();
            let parameters = parameters
                .map(|(name, kind)| (name.clone(), Kind::parse(kind.as_str().unwrap_or_default())))
                .collect();
            let form = if operation.changes { Form::Action(parameters) } else { Form::Function };
            return Ok(at(below, returns, form));
        }
        if *form == Form::Collection {
            let is_role = ROLES.contains(&(self.name.as_str(), segment));
            if schema.member(&kind.name, segment).is_some() && !is_role {
                return Err(format!("{template} is a list, '{segment}' a member of what is in it"));
            }
            let name = self.name.clone();
            let template = format!("{template}/{{id}}");
            return Ok(Self { template, kind: kind.one(), form: Form::One, name });
        }
        let member = schema.member(&kind.name, segment);
        let member = member.ok_or_else(|| format!("{} has no '{segment}'", kind.name))?;
        let form = if member.kind.many { Form::Collection } else { Form::One };
        Ok(at(below, member.kind, form))
    }

    /// Whether a method can be used here.
    pub(crate) fn allows(&self, method: &str) -> bool {
        match &self.form {
            Form::Collection => ["GET", "POST"].contains(&method),
            Form::One => ["GET", "PATCH", "DELETE"].contains(&method),
            Form::Value => ["GET", "PUT"].contains(&method),
            Form::Reference => method == "DELETE",
            Form::Action(_) | Form::Batch => method == "POST",
            Form::Function => method == "GET",
        }
    }
}

/// A segment, and the key that follows it in parentheses, as in the links that Graph gives:
/// `mailFolders('inbox')`. `delta()` has none.
fn keyed(segment: &str) -> Vec<String> {
    let text = decoded(segment);
    match text.strip_suffix(')').and_then(|rest| rest.split_once('(')) {
        Some((name, "")) => vec![name.to_owned()],
        Some((name, key)) if !name.is_empty() => {
            vec![name.to_owned(), key.trim_matches('\'').to_owned()]
        }
        _ => vec![text],
    }
}

/// A segment without its percent signs. What is no UTF-8 then is no name of anything either.
pub(crate) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match digits.filter(|_| *first == b'%').and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

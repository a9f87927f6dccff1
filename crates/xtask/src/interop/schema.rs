//! Graph's schema: the digest of the CSDL that lies with the reference data.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use serde_json::{Map, Value};

/// Members that the digest, which holds a part of the schema, leaves out.
const LEFT_OUT: &[(&str, &str, &str)] = &[
    ("graph.admin", "exchange", "graph.exchangeAdmin"),
    ("graph.userSettings", "exchange", "graph.exchangeSettings"),
    ("graph.group", "displayName", "Edm.String"),
    ("graph.group", "id", "Edm.String !"),
    ("graph.group", "mail", "Edm.String"),
    ("graph.group", "transitiveMembers", "Collection(graph.directoryObject)"),
    // Of beta, where alone it is told.
    ("graph.exchangeSettings", "inPlaceArchiveMailboxId", "Edm.String"),
];
/// Types that are there to hold properties of one's own. Others are open, too, by the schema; a name
/// that they do not have is a slip of the pen there.
const OPEN: &[&str] = &["graph.openTypeExtension"];

/// What can stand behind the version.
const ROOTS: &[(&str, &str)] = &[
    ("admin", "graph.admin"),
    ("applications", "Collection(graph.application)"),
    ("auditLogs", "graph.auditLogRoot"),
    ("domains", "Collection(graph.domain)"),
    ("groups", "Collection(graph.group)"),
    ("organization", "Collection(graph.organization)"),
    ("servicePrincipals", "Collection(graph.servicePrincipal)"),
    ("subscriptions", "Collection(graph.subscription)"),
    ("users", "Collection(graph.user)"),
];

pub(crate) struct Schema {
    types: Map<String, Value>,
    operations: Vec<Value>,
}

/// The type of a value, as the digest writes it: `Collection(graph.recipient) !`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// `graph.recipient` or `Edm.String`.
    pub(crate) name: String,
    pub(crate) many: bool,
    pub(crate) nullable: bool,
}

/// A property of a type, or where one gets to from it.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) kind: Kind,
    pub(crate) navigation: bool,
}

/// An action or function.
pub(crate) struct Operation<'a> {
    pub(crate) changes: bool,
    pub(crate) parameters: &'a Map<String, Value>,
    pub(crate) returns: Option<Kind>,
}

impl Kind {
    pub(crate) fn parse(text: &str) -> Self {
        let text = text.trim().trim_end_matches("contained").trim_end();
        let nullable = !text.ends_with('!');
        let text = text.trim_end_matches('!').trim_end();
        let inner = text.strip_prefix("Collection(").and_then(|rest| rest.strip_suffix(')'));
        Self { name: inner.unwrap_or(text).to_owned(), many: inner.is_some(), nullable }
    }

    pub(crate) fn one(&self) -> Self {
        Self { many: false, ..self.clone() }
    }
}

impl Schema {
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let digest: Value = serde_json::from_str(&text)?;
        let types = digest["types"].as_object().cloned().context("the digest has types")?;
        let operations = digest["operations"].as_array().cloned();
        Ok(Self { types, operations: operations.context("the digest has operations")? })
    }

    pub(crate) fn root(name: &str) -> Option<Kind> {
        ROOTS.iter().find(|(root, _)| *root == name).map(|(_, kind)| Kind::parse(kind))
    }

    fn definition(&self, name: &str) -> Option<&Value> {
        self.types.get(&format!("microsoft.{name}"))
    }

    /// Whether the digest has a type: it holds those alone that some page of ours needs.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.definition(name).is_some()
    }

    pub(crate) fn is_entity(&self, name: &str) -> bool {
        self.definition(name).is_some_and(|one| one["kind"] == "EntityType")
    }

    pub(crate) fn is_abstract(&self, name: &str) -> bool {
        self.definition(name).is_some_and(|one| one["Abstract"] == "true")
    }

    /// The members of an enumeration, `None` for other types.
    pub(crate) fn choices(&self, name: &str) -> Option<Vec<&str>> {
        let members = self.definition(name)?["members"].as_array()?;
        Some(members.iter().filter_map(|member| member[0].as_str()).collect())
    }

    /// A type and those that it derives from.
    pub(crate) fn lineage(&self, name: &str) -> Vec<String> {
        let mut line = vec![name.to_owned()];
        let mut at = name.to_owned();
        while let Some(base) = self.definition(&at).and_then(|one| one["BaseType"].as_str()) {
            at = base.trim_start_matches("microsoft.").to_owned();
            line.push(at.clone());
        }
        line
    }

    pub(crate) fn member(&self, kind: &str, name: &str) -> Option<Member> {
        let left_out = LEFT_OUT.iter().find(|(of, member, _)| *of == kind && *member == name);
        if let Some((_, _, found)) = left_out {
            return Some(Member {
                kind: Kind::parse(found),
                navigation: !found.starts_with("Edm."),
            });
        }
        for ancestor in self.lineage(kind) {
            let Some(definition) = self.definition(&ancestor) else { continue };
            for (group, navigation) in [("properties", false), ("navigation", true)] {
                if let Some(found) = definition[group][name].as_str() {
                    return Some(Member { kind: Kind::parse(found), navigation });
                }
            }
        }
        let any = Kind::parse("Edm.Untyped");
        OPEN.contains(&kind).then_some(Member { kind: any, navigation: false })
    }

    /// What is bound to a type, or to a collection of it.
    pub(crate) fn operation(&self, to: &Kind, name: &str) -> Option<Operation<'_>> {
        let bound: Vec<String> = self
            .lineage(&to.name)
            .into_iter()
            .map(|name| if to.many { format!("Collection({name})") } else { name })
            .collect();
        // What is bound to a type itself goes before what is bound to one that it derives from.
        let found = bound.iter().find_map(|bound| {
            self.operations.iter().find(|operation| {
                operation["bound_to"].as_str() == Some(bound)
                    && operation["name"].as_str() == Some(&format!("microsoft.graph.{name}"))
            })
        })?;
        Some(Operation {
            changes: found["kind"] == "Action",
            parameters: found["parameters"].as_object()?,
            returns: found["returns"].as_str().map(Kind::parse),
        })
    }
}

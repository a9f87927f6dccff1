//! The table at the end of a run.

use anyhow::{Result, bail};

use super::{
    examples::Examples,
    journal::{All, Sent},
    operations::{Answer, OPERATIONS, Operation, UNSENT},
};

/// Prints a line for each operation that we use; an error says what is missing.
pub(crate) fn print(sent: &All, examples: &Examples) -> Result<()> {
    let mut wrong = Vec::new();
    println!("\n{:<7}{:<74}{:<22}{:>9}  valid", "", "operation", "examples of answers", "sent");
    for operation in OPERATIONS {
        let key = (operation.method.to_owned(), operation.template.to_owned());
        let name = format!("{} {}", operation.method, operation.template);
        let read = read(operation, examples, &name, &mut wrong);
        let valid = match sent.get(&key) {
            None => match unsent(operation) {
                Some(why) => why,
                None => {
                    wrong.push(format!("{name} is never sent by the tests"));
                    "–"
                }
            },
            Some(sent) => valid(sent, &name, &mut wrong),
        };
        let count = sent.get(&key).map_or(0, |sent| sent.requests);
        println!("{:<7}{:<74}{read:<22}{count:>9}  {valid}", operation.method, operation.template);
    }
    for ((method, template), sent) in sent {
        let listed = |one: &&Operation| one.method == method && one.template == template;
        if !OPERATIONS.iter().any(|one| listed(&one)) {
            let problem = sent.problems.first().map_or("", String::as_str);
            wrong.push(format!("{method} {template} is sent and not in the table {problem}"));
        }
    }
    let requests: u64 = sent.values().map(|sent| sent.requests).sum();
    let batched: u64 = sent.values().map(|sent| sent.in_batches).sum();
    println!(
        "{} operations, {requests} requests checked, {batched} of them in batches",
        OPERATIONS.len()
    );
    if wrong.is_empty() {
        return Ok(());
    }
    for line in &wrong {
        println!("  {line}");
    }
    bail!("{} operations of Graph are not in order", wrong.len());
}

/// Why an operation is never sent, where that is known.
fn unsent(operation: &Operation) -> Option<&'static str> {
    let is = |one: &&(&str, &str, &str)| one.0 == operation.method && one.1 == operation.template;
    UNSENT.iter().find(is).map(|(_, _, why)| *why)
}

fn read(operation: &Operation, examples: &Examples, name: &str, wrong: &mut Vec<String>) -> String {
    let pages = match operation.answer {
        Answer::Read(pages) => pages,
        Answer::Ignored => return "answer not read".to_owned(),
        Answer::Bytes => return "bytes".to_owned(),
    };
    let (all, unread) = examples.unread(pages);
    if all == 0 {
        return "there is none".to_owned();
    }
    for file in &unread {
        wrong.push(format!("{name}: the example {file} is not read by a test"));
    }
    format!("{} of {all} read", all - unread.len())
}

fn valid<'a>(sent: &Sent, name: &str, wrong: &mut Vec<String>) -> &'a str {
    for problem in &sent.problems {
        wrong.push(format!("{name}: {problem}"));
    }
    match (sent.problems.is_empty(), sent.documented) {
        (false, _) => "NO",
        (true, true) => "yes",
        (true, false) => "yes, by the schema alone",
    }
}

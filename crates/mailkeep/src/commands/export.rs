use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use mailkeep_vault::{ExportForm, Selection};
use serde_json::json;

use super::{Outcome, open_service};
use crate::{
    cli::{Export, ExportFormat, Global},
    exit::Exit,
    output::{Output, bytes},
};

pub(super) async fn run(global: &Global, arguments: &Export, output: &Output) -> Outcome {
    let service = open_service(global).await?;
    let view = service.view(&arguments.tenant, arguments.at.at).await?;
    let place = &arguments.place;
    let selection = Selection { mailbox: place.mailbox.clone(), folder: place.path.clone() };
    let form = match (arguments.format, &place.path) {
        (ExportFormat::Eml, _) => ExportForm::Eml,
        (ExportFormat::Mbox, None) => ExportForm::MboxFolders,
        (ExportFormat::Mbox, Some(_)) => ExportForm::Mbox,
        (ExportFormat::Ics, _) if has_extension(&arguments.out, "ics") => ExportForm::IcsFile,
        (ExportFormat::Ics, _) => ExportForm::Ics,
        (ExportFormat::Vcf, _) if has_extension(&arguments.out, "vcf") => ExportForm::VcfFile,
        (ExportFormat::Vcf, _) => ExportForm::Vcf,
    };
    let noun = match arguments.format {
        ExportFormat::Eml | ExportFormat::Mbox => "messages",
        ExportFormat::Ics => "events",
        ExportFormat::Vcf => "contacts",
    };
    let details = json!({
        "mailbox": place.mailbox,
        "folder": place.path.as_ref().map(ToString::to_string),
        "out": arguments.out.display().to_string(),
    });
    service.audit_reading(&view, "export", details).await?;
    let bar = if output.shows_progress() { ProgressBar::new(0) } else { ProgressBar::hidden() };
    let style = "export [{bar:30}] {pos}/{len} items  {elapsed}";
    bar.set_style(ProgressStyle::with_template(style).expect("a constant template"));
    let report = view.export(&selection, form, &arguments.out, &mut |progress| {
        bar.set_length(progress.of);
        bar.set_position(progress.items);
    })?;
    bar.finish_and_clear();
    let failed: Vec<_> =
        report.failed.iter().map(|one| json!({"item": one.item.0, "error": one.reason})).collect();
    let mut value = json!({
        noun: report.items - report.tasks,
        "not_of_format": report.not_of_format,
        "bytes": report.bytes,
        "files": report.files,
        "out": arguments.out.display().to_string(),
        "failed": failed,
    });
    if arguments.format == ExportFormat::Ics {
        value["tasks"] = json!(report.tasks);
    }
    output.result(&value, || {
        let mut text = format!(
            "{} {noun}{}, {}, in {} files: {}",
            report.items - report.tasks,
            if report.tasks > 0 { format!(" and {} tasks", report.tasks) } else { String::new() },
            bytes(report.bytes),
            report.files,
            arguments.out.display()
        );
        for one in &report.failed {
            text.push_str(&format!("\nnot exported: item {}: {}", one.item.0, one.reason));
        }
        if report.not_of_format > 0 {
            text.push_str(&format!(
                "\n{} items of other kinds were passed over: mail is written as eml or mbox, events and tasks as ics, contacts as vcf; 'mailkeep cat' prints any item",
                report.not_of_format
            ));
        }
        text
    });
    Ok(if report.failed.is_empty() { Exit::Done } else { Exit::Partly })
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(wanted))
}

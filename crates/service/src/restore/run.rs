//! Runs a restore: what is there is looked up, the rest is written.

use std::{sync::Arc, time::Instant};

use mailkeep_exchange::Provider;
use mailkeep_model::{Function, Mailbox};
use mailkeep_vault::FolderPath;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    RESTORED, RestoreLimits, RestoreOutcome, RestoreReport, RestoreRequest, RestoreStop,
    RestoreWhat, RestoredItem,
    course::Course,
    ending::{Ending, Tally},
    plan::plan,
    select::{Source, Way, select},
    target::{Mode, Target},
    write::Writer,
};
use crate::{Event, Observer, Service, ServiceError, Unobserved, View, service::blocking};

impl Service {
    /// What a restore would do. Reads with the reader's key, writes nothing.
    ///
    /// # Errors
    /// As [`Service::restore`], and whatever keeps it from looking everywhere.
    pub async fn preview_restore(
        &self,
        request: &RestoreRequest,
    ) -> Result<RestoreReport, ServiceError> {
        let tenant = self.tenant(request.to_tenant.as_ref().unwrap_or(&request.tenant)).await?;
        let (job, function) = (self.new_job(), Function::Reader);
        let provider = self.provider_for(&tenant, function, RESTORED, &job).await?;
        // Somebody waits for it.
        let limits = RestoreLimits { outage: std::time::Duration::ZERO };
        let course = Course::new(limits, &CancellationToken::new());
        let (prepared, tally) = (self.prepare(request).await?, Tally::default());
        let run = Run { request, course: &course, observer: &Unobserved, tally };
        let report = run.through(prepared, provider, Mode::Preview).await?;
        course.take_error().map_or(Ok(report), Err)
    }

    /// [`Service::restore_until`] nobody calls it off.
    ///
    /// # Errors
    /// The same.
    pub async fn restore(
        &self,
        request: &RestoreRequest,
        observer: Arc<dyn Observer>,
    ) -> Result<RestoreReport, ServiceError> {
        self.restore_until(request, observer, &CancellationToken::new()).await
    }

    /// Brings items back. The key that writes is made for this and destroyed afterwards; until the
    /// provider accepts it, [`Event::KeyToRegister`] says what to register.
    ///
    /// When `called_off` is cancelled nothing more is begun, what is being written may come to its
    /// end within seconds, and the report tells how far it came ([`RestoreReport::stopped`]). A
    /// restore that is dropped instead is ended in the background, for as long as the runtime lives.
    ///
    /// # Errors
    /// [`ServiceError::Busy`] when another restore runs; what stopped all of it before anything was
    /// done. What stops one item, and what stops all of it later, is in the report.
    pub async fn restore_until(
        &self,
        request: &RestoreRequest,
        observer: Arc<dyn Observer>,
        called_off: &CancellationToken,
    ) -> Result<RestoreReport, ServiceError> {
        let into = request.to_tenant.as_ref().unwrap_or(&request.tenant);
        let lease = self.data.restore_lease(into)?;
        let job = self.new_job();
        let ending = Ending::begin(
            self.control.clone(),
            self.signer().await?.clone(),
            job.clone(),
            (into.clone(), request.tenant.clone()),
            lease,
            described(request),
        )
        .await?;
        let tally = ending.tally();
        let course = Course::new(self.restore_limits, called_off);
        let outcome = async {
            let prepared = self.prepare(request).await?;
            let run = Run { request, course: &course, observer: &*observer, tally };
            let report = run.report(&prepared);
            let provider = tokio::select! {
                biased;
                () = called_off.cancelled() => return Ok(run.leave_all(prepared.sources, report)),
                provider = self.restorer(into, &job, &*observer) => provider?,
            };
            let report = run.through(prepared, provider, Mode::Write).await?;
            let untouched = report.folders_created.is_empty()
                && report.items.iter().all(|item| item.outcome == RestoreOutcome::NotTried);
            match course.take_error() {
                Some(error) if untouched => Err(error),
                _ => Ok(report),
            }
        }
        .await;
        let problems = ending.come(&outcome).await;
        outcome.map(|mut report| {
            report.problems.extend(problems);
            report
        })
    }

    async fn prepare(&self, request: &RestoreRequest) -> Result<Prepared, ServiceError> {
        let view = Arc::new(self.view(&request.tenant, request.at).await?);
        let what = request.what.clone();
        let below = request.to.as_ref().is_some_and(|to| !to.path.0.is_empty());
        let way = if below { Way::Below } else { Way::Back };
        let reading = Arc::clone(&view);
        let sources = blocking(move || select(&reading, &what, way)).await?;
        Ok(Prepared { view, sources })
    }
}

/// What is to be brought back.
struct Prepared {
    view: Arc<View>,
    sources: Vec<Source>,
}

/// One restore on its way.
struct Run<'a> {
    request: &'a RestoreRequest,
    course: &'a Course,
    observer: &'a dyn Observer,
    tally: Tally,
}

impl Run<'_> {
    /// # Errors
    /// What shows before anything is done.
    async fn through<P: Provider>(
        &self,
        prepared: Prepared,
        provider: P,
        mode: Mode,
    ) -> Result<RestoreReport, ServiceError> {
        let (request, course) = (self.request, self.course);
        let mut report = self.report(&prepared);
        let Prepared { view, sources } = prepared;
        let count = sources.iter().flat_map(|source| &source.folders);
        let count = count.map(|folder| folder.items.len()).sum();
        self.observer.on_event(&Event::Restoring { items: count });
        report.items.reserve(count);

        let begin = Instant::now();
        let Some(mailboxes) = course.look(|_| provider.mailboxes()).await.transpose()? else {
            return Ok(self.leave_all(sources, report));
        };
        let into = sources.iter().map(|source| self.into(source, &mailboxes));
        let into = into.collect::<Result<Vec<_>, _>>()?;
        let below = request.to.as_ref().map_or_else(FolderPath::default, |to| to.path.clone());
        for (mut source, mailbox) in sources.into_iter().zip(into) {
            let kinds = source.kinds();
            let open = Target::open(provider.clone(), course, mailbox, below.clone(), mode, &kinds);
            let opened = tokio::select! {
                biased;
                () = course.halted() => None,
                opened = open => Some(opened.map_err(|error| course.failed(error))),
            };
            let mut target = match opened {
                Some(Ok(target)) => target,
                Some(Err(why)) if !course.is_halted() => {
                    self.leave(source, &RestoreOutcome::Failed(why), &mut report);
                    continue;
                }
                _ => {
                    self.leave(source, &RestoreOutcome::NotTried, &mut report);
                    continue;
                }
            };
            let plan = plan(&provider, &mut source, &mut target, request, course).await;
            report.problems.extend(plan.problems);
            let way = (source.mailbox.clone(), target.mailbox.clone());
            let writer =
                Writer::new(&provider, course, self.observer, Arc::clone(&view), way, mode);
            writer.perform(plan.work, |item| self.tell(item, &mut report)).await;
            report.problems.extend(writer.settle().await);
            report.bytes += writer.bytes();
            report.folders_created.append(&mut target.created);
        }
        let usage = provider.usage();
        (report.requests, report.throttled) = (usage.requests, usage.throttled);
        report.seconds = begin.elapsed().as_secs_f64();
        let left = report.count("not_tried") + report.count("failed") > 0;
        report.stopped = course.stop();
        if !left && report.stopped == Some(RestoreStop::Interrupted) {
            // It came too late.
            report.stopped = None;
        }
        Ok(report)
    }

    /// The mailbox that what comes out of one goes into.
    fn into(&self, source: &Source, mailboxes: &[Mailbox]) -> Result<Mailbox, ServiceError> {
        let request = self.request;
        // Back to where it was means the same mailbox, whatever its address is now, and not
        // whoever has the address now.
        let found = mailboxes.iter().find(|mailbox| match &request.to {
            Some(to) => mailbox.address == to.mailbox,
            None => mailbox.id == source.id,
        });
        let Some(to) = &request.to else {
            let (tenant, address) = (request.tenant.clone(), &source.mailbox);
            let reason = format!(
                "the mailbox that was {address} in that snapshot is no longer there; to restore into another one, also one that has this address now, name it with --to"
            );
            return found.cloned().ok_or(ServiceError::Refused { tenant, reason });
        };
        let tenant = request.to_tenant.as_ref().unwrap_or(&request.tenant);
        let missing =
            || ServiceError::NoMailbox { tenant: tenant.clone(), mailbox: to.mailbox.clone() };
        found.cloned().ok_or_else(missing)
    }

    fn tell(&self, item: RestoredItem, report: &mut RestoreReport) {
        self.tally.count(&item.outcome);
        report.items.push(item);
    }

    /// Tells of items with which nothing was done.
    fn leave(&self, source: Source, outcome: &RestoreOutcome, report: &mut RestoreReport) {
        let mailbox = self.request.to.as_ref().map_or(&source.mailbox, |to| &to.mailbox).clone();
        for folder in source.folders {
            let path = folder.folder.path.to_string();
            for stored in folder.items {
                let item = RestoredItem {
                    item: stored.short,
                    kind: stored.item.kind,
                    subject: stored.item.subject,
                    mailbox: mailbox.clone(),
                    folder: path.clone(),
                    outcome: outcome.clone(),
                    made: None,
                    lost: Vec::new(),
                };
                self.tell(item, report);
            }
        }
    }

    /// What a restore comes to that was called off before anything was done.
    fn leave_all(&self, sources: Vec<Source>, mut report: RestoreReport) -> RestoreReport {
        for source in sources {
            self.leave(source, &RestoreOutcome::NotTried, &mut report);
        }
        report.stopped = Some(RestoreStop::Interrupted);
        report
    }

    fn report(&self, prepared: &Prepared) -> RestoreReport {
        let snapshot = prepared.view.snapshot();
        RestoreReport {
            tenant: self.request.tenant.clone(),
            snapshot: snapshot.id.to_string(),
            taken: snapshot.time,
            items: Vec::new(),
            folders_created: Vec::new(),
            bytes: 0,
            requests: 0,
            throttled: 0,
            seconds: 0.0,
            stopped: None,
            problems: Vec::new(),
        }
    }
}

/// For the record of who did what.
fn described(request: &RestoreRequest) -> serde_json::Value {
    let what = match &request.what {
        RestoreWhat::Folder { mailbox, path } => json!(format!("{mailbox}:{path}")),
        RestoreWhat::Items(items) => json!(items),
    };
    let to = request.to.as_ref().map(|to| format!("{}:{}", to.mailbox, to.path));
    json!({
        "from": request.tenant,
        "into": request.to_tenant.as_ref().unwrap_or(&request.tenant),
        "what": what,
        "to": to,
        "at": request.at.map(|at| at.to_string()),
        "on_conflict": format!("{:?}", request.on_conflict).to_lowercase(),
    })
}

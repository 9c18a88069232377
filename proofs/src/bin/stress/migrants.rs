//! Futures that move to another thread after every poll, and some that are dropped on the way.

use crate::contents::Contents;
use crate::outcome::{Trouble, ensure};
use crate::{Seen, size};
use spanring::Recorder;
use spanring::prelude::*;
use spanring::reader::{Outcome, Phase, Recording};
use std::pin::Pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll, Waker};

const THREADS: u64 = size(2, 4);
/// Spans in each future, one after the other, each of two polls.
const STEPS: u64 = 3;
/// One future in so many is dropped after its second poll, in the second step.
const CANCELLED: u64 = 3;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A future, and how often it was polled; `None` says that no more will come.
type Message = Option<(u64, Task, u64)>;

/// Gives way once.
async fn give_way() {
    let mut given = false;
    std::future::poll_fn(|_| if std::mem::replace(&mut given, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

fn task(number: u64) -> Task {
    Box::pin(span_async_named!(format!("task {number}"), async {
        for _ in 0..STEPS {
            span_async_named!("step", give_way()).await;
        }
    }))
}

/// Polls whatever comes, and sends what is not ready on to the next thread.
fn worker(inbox: &Receiver<Message>, next: &Sender<Message>, done: &Sender<()>) {
    while let Ok(Some((number, mut task, polls))) = inbox.recv() {
        let cancelled = number % CANCELLED == 0 && polls == 2;
        if cancelled || task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            drop(task);
            let _ = done.send(());
        } else {
            let _ = next.send(Some((number, task, polls + 1)));
        }
    }
}

pub fn run(scale: u64) -> Result<String, Trouble> {
    let tasks = scale * size(3, 500);
    let builder = Recorder::builder().memory().ring_bytes(size(16 << 10, 16 << 20)).names_bytes(64 << 10);
    let recorder = builder.start().map_err(|error| error.to_string())?;
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..THREADS).map(|_| channel::<Message>()).unzip();
    let (done, all_done) = channel();
    std::thread::scope(|scope| {
        for (thread, inbox) in receivers.into_iter().enumerate() {
            let (next, done) = (senders[(thread + 1) % senders.len()].clone(), done.clone());
            scope.spawn(move || worker(&inbox, &next, &done));
        }
        for number in 0..tasks {
            let _ = senders[number as usize % senders.len()].send(Some((number, task(number), 0)));
        }
        for _ in 0..tasks {
            let _ = all_done.recv();
        }
        senders.iter().for_each(|sender| drop(sender.send(None)));
    });
    let memory = recorder.memory().ok_or_else(|| "it was to be in memory".to_owned())?.clone();
    let health = recorder.stop().map_err(|error| error.to_string())?;
    let contents = Contents::of(&Recording::from_segment(&memory.bytes())?)?;
    Seen::default().check(&contents)?;
    let cancelled = tasks.div_ceil(CANCELLED);
    let spans = tasks + (tasks - cancelled) * STEPS + cancelled * 2;
    let (read, lost) = (contents.summary.records, contents.summary.lost);
    ensure!(read + lost == 2 * spans, "{} recorded, {read} read, {lost} lost", 2 * spans);
    ensure!((read, lost) == (health.flushed, health.lost), "{read} read, {lost} lost, but {health}");
    ensure!(lost == 0, "the rings were to have room for all, but {health}");
    let ended = |outcome| contents.records.iter().filter(|record| record.outcome == Some(outcome)).count() as u64;
    // With a task that is dropped goes the step that it is in.
    ensure!(ended(Outcome::Cancelled) == 2 * cancelled, "{} cancelled", ended(Outcome::Cancelled));
    let begins = contents.records.iter().filter(|record| record.phase == Phase::Begin).count() as u64;
    ensure!(begins == spans, "{begins} begins of {spans} spans");
    Ok(format!(
        "{tasks} futures on {THREADS} threads, {cancelled} of them dropped, {} recorded = {read} read",
        2 * spans
    ))
}

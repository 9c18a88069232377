//! The gate: once a recorder has stopped, what its threads recorded has been read, and nothing slips in behind.
#![cfg(spanring_loom)]

use loom::sync::Mutex;
use loom::thread;
use spanring::recorder::gate::{Busy, Gate, Idle, Refusal};
use spanring_loom_tests::{Drain, Producer, Witness, drained_ring, explore_all, push};
use std::sync::Arc;

/// What a recording thread has: the steps of `record::begin`.
struct Recorder {
    gate: Arc<Gate>,
    busy: Arc<Busy>,
    generation: u64,
    producer: Producer,
}

impl Recorder {
    /// One that is ready to record for a generation.
    fn new(gate: &Arc<Gate>, generation: u64) -> (Recorder, Arc<Busy>, Drain) {
        let (recorder, busy, drain) = Recorder::unready(gate, generation);
        busy.set_idle(generation);
        (recorder, busy, drain)
    }

    /// One that has to look at the gate before it marks itself.
    fn unready(gate: &Arc<Gate>, generation: u64) -> (Recorder, Arc<Busy>, Drain) {
        let (producer, drain) = drained_ring(4, 1);
        let busy = Arc::new(Busy::new());
        (Recorder { gate: Arc::clone(gate), busy: Arc::clone(&busy), generation, producer }, busy, drain)
    }

    fn enter(&self) -> Option<Idle> {
        self.gate.enter_ready(&self.busy, self.generation).or_else(|| {
            let open = self.gate.generation() == self.generation;
            if open { self.gate.enter(&self.busy, self.generation).ok() } else { None }
        })
    }

    /// Records once if the gate lets it. Returns whether it did.
    fn record(&self) -> bool {
        let Some(idle) = self.enter() else { return false };
        push(&self.producer, 0, 1).unwrap();
        self.busy.leave(idle);
        true
    }

    /// Tries to record so often. Returns how often it did.
    fn record_times(&self, times: usize) -> u64 {
        (0..times).filter(|_| self.record()).count() as u64
    }
}

fn open_gate(generation: u64) -> Arc<Gate> {
    let gate = Arc::new(Gate::new());
    gate.open(generation);
    gate
}

/// After the gate was closed: waits for a thread.
fn settle(gate: &Gate, busy: &Busy) {
    let idle = gate.wait_until_idle(busy, |_| {
        thread::yield_now();
        true
    });
    assert!(idle);
}

#[test]
fn everything_recorded_before_a_stop_is_read_and_nothing_comes_after() {
    stop_while_recording("gate: stop while a thread records", Recorder::new);
    stop_while_recording("gate: stop while a thread that is not ready records", Recorder::unready);
}

fn stop_while_recording(name: &str, new: fn(&Arc<Gate>, u64) -> (Recorder, Arc<Busy>, Drain)) {
    let (all, some) = (Witness::default(), Witness::default());
    let (all_once, some_once) = (all.clone(), some.clone());
    explore_all(name, move || {
        let gate = open_gate(1);
        let (recorder, busy, mut drain) = new(&gate, 1);
        let thread = thread::spawn(move || recorder.record_times(2));
        gate.close();
        settle(&gate, &busy);
        drain.drain();
        let recorded = thread.join().unwrap();
        drain.assert_all_accounted_for(recorded);
        all.note(recorded == 2);
        some.note(recorded == 1);
    });
    assert!(all_once.happened() && some_once.happened(), "the stop never came before or between the records");
}

#[test]
fn a_stop_waits_for_every_thread() {
    explore_all("gate: stop while two threads record", || {
        let gate = open_gate(1);
        let (first, first_busy, mut first_drain) = Recorder::new(&gate, 1);
        let (second, second_busy, mut second_drain) = Recorder::new(&gate, 1);
        let first = thread::spawn(move || first.record_times(1));
        let second = thread::spawn(move || second.record_times(1));
        gate.close();
        settle(&gate, &first_busy);
        settle(&gate, &second_busy);
        first_drain.drain();
        second_drain.drain();
        first_drain.assert_all_accounted_for(first.join().unwrap());
        second_drain.assert_all_accounted_for(second.join().unwrap());
    });
}

#[test]
fn a_flush_in_progress_and_a_stop_read_everything_together() {
    explore_all("gate: stop while the flusher drains", || {
        let gate = open_gate(1);
        let (recorder, busy, drain) = Recorder::new(&gate, 1);
        let drain = Arc::new(Mutex::new(drain));
        let thread = thread::spawn(move || recorder.record_times(2));
        let flusher = Arc::clone(&drain);
        let flusher = thread::spawn(move || drop(flusher.lock().unwrap().drain()));
        gate.close();
        settle(&gate, &busy);
        flusher.join().unwrap();
        let mut drain = drain.lock().unwrap();
        drain.drain();
        drain.assert_all_accounted_for(thread.join().unwrap());
    });
}

#[test]
fn a_stop_that_gives_up_waiting_says_so() {
    let gave_up = Witness::default();
    let gave_up_once = gave_up.clone();
    explore_all("gate: give up waiting", move || {
        let gate = open_gate(1);
        let (recorder, busy, mut drain) = Recorder::new(&gate, 1);
        let thread = thread::spawn(move || recorder.record_times(1));
        gate.close();
        let idle = gate.wait_until_idle(&busy, |looks| looks < 1);
        drain.drain();
        let read = drain.read().len() as u64;
        let recorded = thread.join().unwrap();
        assert!(read == recorded || !idle, "read {read} of {recorded}");
        gave_up.note(!idle && read < recorded);
    });
    assert!(gave_up_once.happened(), "no thread was ever in the middle of its record");
}

#[test]
fn a_record_within_a_record_is_refused() {
    explore_all("gate: nested", || {
        let gate = open_gate(1);
        let (recorder, busy, mut drain) = Recorder::new(&gate, 1);
        let thread = thread::spawn(move || {
            let entered = recorder.gate.enter(&recorder.busy, 1);
            assert_ne!(entered, Err(Refusal::Nested));
            let recorded = entered.is_ok();
            if let Ok(idle) = entered {
                // What a signal handler would do here.
                assert_eq!(recorder.gate.enter(&recorder.busy, 1), Err(Refusal::Nested));
                recorder.busy.set_idle(1);
                assert!(!recorder.record());
                push(&recorder.producer, 0, 1).unwrap();
                recorder.busy.leave(idle);
            }
            let again = recorder.record();
            u64::from(recorded) + u64::from(again)
        });
        gate.close();
        settle(&gate, &busy);
        drain.drain();
        drain.assert_all_accounted_for(thread.join().unwrap());
    });
}

#[test]
fn a_thread_of_an_old_recording_writes_nothing_into_its_ring_after_the_next_has_begun() {
    let between = Witness::default();
    let between_once = between.clone();
    explore_all("gate: stop and start again", move || {
        let gate = open_gate(1);
        let (recorder, busy, mut drain) = Recorder::new(&gate, 1);
        let thread = thread::spawn(move || {
            let recorded = recorder.record_times(2);
            (recorded, recorder.gate.enter(&recorder.busy, 2).is_ok())
        });
        gate.close();
        settle(&gate, &busy);
        drain.drain();
        gate.open(2);
        let (recorded, entered_next) = thread.join().unwrap();
        drain.assert_all_accounted_for(recorded);
        between.note(recorded == 1 && entered_next);
    });
    assert!(between_once.happened(), "the next recording never began between two events");
}

#[test]
fn a_thread_that_registers_during_a_stop_is_waited_for_or_kept_out() {
    let (registered, too_late) = (Witness::default(), Witness::default());
    let (registered_once, too_late_once) = (registered.clone(), too_late.clone());
    explore_all("gate: registration during a stop", move || {
        // The order of locks and steps is that of `session` and `guard`: the running recording, then its list of logs.
        let gate = open_gate(1);
        let running = Arc::new(Mutex::new(true));
        let logs = Arc::new(Mutex::new(Vec::<(Arc<Busy>, Drain)>::new()));
        let thread = {
            let (gate, running, logs) = (Arc::clone(&gate), Arc::clone(&running), Arc::clone(&logs));
            thread::spawn(move || {
                if !*running.lock().unwrap() {
                    return 0;
                }
                let (recorder, busy, drain) = Recorder::new(&gate, 1);
                logs.lock().unwrap().push((busy, drain));
                recorder.record_times(1)
            })
        };
        {
            let mut running = running.lock().unwrap();
            gate.close();
            *running = false;
        }
        let mut read = 0;
        for (busy, mut drain) in std::mem::take(&mut *logs.lock().unwrap()) {
            settle(&gate, &busy);
            read += drain.drain().len() as u64;
        }
        let recorded = thread.join().unwrap();
        assert_eq!(read, recorded);
        registered.note(recorded == 1);
        too_late.note(!logs.lock().unwrap().is_empty());
    });
    assert!(registered_once.happened(), "the thread never recorded");
    assert!(too_late_once.happened(), "the thread never registered after the stop had looked");
}

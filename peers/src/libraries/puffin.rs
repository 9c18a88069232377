//! puffin: a profiler for games, which have frames.

use crate::library::{Kind, Library, Outcome, Recording, Row, Setup, bytes_below};
use crate::rows::run_each;
use puffin::GlobalProfiler;
use std::fs::File;
use std::hint::black_box;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

pub struct Puffin;

const ROWS: [Row; 1] = [Row { kind: Kind::Sync, way: "profile_scope", spans: profile_scope, tasks: None }];

/// 60 frames a second.
const FRAME: Duration = Duration::from_micros(16_667);

impl Library for Puffin {
    fn name(&self) -> &'static str {
        "puffin"
    }

    fn package(&self) -> Option<&'static str> {
        Some("puffin")
    }

    fn rows(&self) -> &'static [Row] {
        &ROWS
    }

    fn setups(&self) -> &'static [Setup] {
        &[Setup {
            name: "",
            at_rest: None,
            note: "One outer scope around each burst, as a frame's function has; a thread calls `new_frame` 60 times a second, and \
                   the sink packs each frame (LZ4) into a file, as `puffin_http` does for its socket. Sync only; names are \
                   constants, text made at run time goes into a scope's data.",
        }]
    }

    fn start(&self, _setup: usize, directory: &Path) -> Box<dyn Recording> {
        let scopes = Arc::new(AtomicU64::new(0));
        let file = File::create(directory.join("frames.puffin")).expect("the directory is writable");
        let sink = {
            let (scopes, file) = (Arc::clone(&scopes), Mutex::new(BufWriter::new(file)));
            move |frame: Arc<puffin::FrameData>| {
                scopes.fetch_add(frame.meta().num_scopes as u64, Ordering::Relaxed);
                let mut file = file.lock().expect("nobody panics with it");
                frame.write_into(None, &mut *file).expect("the disk has room");
            }
        };
        let sink = GlobalProfiler::lock().add_sink(Box::new(sink));
        puffin::set_scopes_on(true);
        let stop = Arc::new(AtomicBool::new(false));
        let frames = {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                while !stop.load(Ordering::Acquire) {
                    std::thread::sleep(FRAME);
                    GlobalProfiler::lock().new_frame();
                }
            })
        };
        let bursts = AtomicU64::new(0);
        Box::new(Framed { frames: Some(frames), stop, sink, scopes, bursts, directory: directory.to_owned() })
    }
}

#[inline(never)]
fn profile_scope(spans: u64) {
    run_each(spans, |number| {
        puffin::profile_scope!("sync span");
        black_box(number);
    });
}

struct Framed {
    frames: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    sink: puffin::FrameSinkId,
    /// In the sink, with the outer ones.
    scopes: Arc<AtomicU64>,
    /// Outer scopes.
    bursts: AtomicU64,
    directory: PathBuf,
}

impl Recording for Framed {
    fn around(&self, burst: &mut dyn FnMut()) {
        self.bursts.fetch_add(1, Ordering::Relaxed);
        puffin::profile_scope!("burst");
        burst();
    }

    fn stop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(frames) = self.frames.take() {
            frames.join().expect("the sink does not panic");
        }
        // Dropping the sink flushes its file.
        drop(GlobalProfiler::lock().remove_sink(self.sink));
    }

    fn outcome(&self, _: Row) -> Option<Outcome> {
        let spans = self.scopes.load(Ordering::Relaxed) - self.bursts.load(Ordering::Relaxed);
        Some(Outcome { spans, bytes: Some(bytes_below(&self.directory)) })
    }
}

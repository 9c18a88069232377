//! For runtimes of tokio (feature `tokio`).

use crate::dispatch::{flush_thread_buffer, init_thread_stream};
use tokio::runtime::Builder;

/// Lets the threads of a tokio runtime register when they start rather than at their first event.
///
/// Nothing depends on it: threads register by themselves, hand over what they have when they end, and a background thread flushes. It
/// takes the first event's registration, some tens of microseconds, out of the first request.
///
/// ```
/// use spanring::runtime::TracingRuntimeExt;
///
/// # fn main() -> std::io::Result<()> {
/// let runtime = tokio::runtime::Builder::new_multi_thread().with_tracing_callbacks().build()?;
/// # Ok(())
/// # }
/// ```
pub trait TracingRuntimeExt {
    /// Registers each thread of the runtime when it starts, and has everything flushed when it stops.
    ///
    /// Takes the place of `on_thread_start` and `on_thread_stop`: with a start of your own, use
    /// [`TracingRuntimeExt::with_tracing_callbacks_and_custom_start`].
    ///
    /// ```
    /// use spanring::runtime::TracingRuntimeExt;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).with_tracing_callbacks().build()?;
    /// assert_eq!(runtime.block_on(async { 42 }), 42);
    /// # Ok(())
    /// # }
    /// ```
    fn with_tracing_callbacks(&mut self) -> &mut Self;

    /// The same, and runs `start` on each thread once it is registered.
    ///
    /// ```
    /// use spanring::runtime::TracingRuntimeExt;
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    ///
    /// static STARTED: AtomicUsize = AtomicUsize::new(0);
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = tokio::runtime::Builder::new_multi_thread()
    ///     .worker_threads(2)
    ///     .with_tracing_callbacks_and_custom_start(|| {
    ///         STARTED.fetch_add(1, Ordering::Relaxed);
    ///     })
    ///     .build()?;
    /// runtime.block_on(runtime.spawn(async {})).unwrap();
    /// assert!(STARTED.load(Ordering::Relaxed) > 0);
    /// # Ok(())
    /// # }
    /// ```
    fn with_tracing_callbacks_and_custom_start(&mut self, start: impl Fn() + Send + Sync + 'static) -> &mut Self;
}

impl TracingRuntimeExt for Builder {
    fn with_tracing_callbacks(&mut self) -> &mut Self {
        self.with_tracing_callbacks_and_custom_start(|| {})
    }

    fn with_tracing_callbacks_and_custom_start(&mut self, start: impl Fn() + Send + Sync + 'static) -> &mut Self {
        let start = move || {
            init_thread_stream();
            start();
        };
        self.on_thread_start(start).on_thread_stop(flush_thread_buffer)
    }
}

//! The limit as it is in a program: what it lets in and what it refuses is recorded.
#![cfg(not(loom))]

use spanring::Recorder;
use spanring::reader::{Event, Phase, Recording};
use spanring_example_loom_user::Limit;

#[test]
fn what_is_let_in_and_what_is_refused_is_in_the_recording() {
    let limit = Limit::new(1);
    let recorder = Recorder::builder().memory().start().unwrap();
    let memory = recorder.memory().unwrap().clone();
    let inner = limit.run(|| limit.run(|| "two at a time"));
    assert_eq!(inner, Some(None));
    assert_eq!(limit.run(|| "one after the other"), Some("one after the other"));
    limit.close();
    assert_eq!(limit.run(|| "too late"), None);
    recorder.stop().unwrap();

    let mut lines = Vec::new();
    let read = Recording::from_segment(&memory.bytes()).unwrap().read(&mut |event: Event<'_>| match event {
        Event::Span(span) if span.phase == Phase::Begin => lines.push(format!("{} begins", span.name)),
        Event::Span(span) => lines.push(format!("{} ends", span.name)),
        Event::Instant(instant) => lines.push(instant.name.to_owned()),
        Event::Attribute(attribute) => lines.push(format!("{} is {}", attribute.key, attribute.value)),
        Event::Counter(counter) => lines.push(format!("{} = {}", counter.name, counter.value)),
        _ => {}
    });
    read.unwrap();
    let expected = [
        "limited begins",
        "in = 1",
        "limited begins",
        "refused",
        "most is 1",
        "limited ends",
        "limited ends",
        "limited begins",
        "in = 1",
        "limited ends",
        "limited begins",
        "refused",
        "most is 1",
        "limited ends",
    ];
    assert_eq!(lines, expected);
}

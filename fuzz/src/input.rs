//! What a fuzzer decides about a recording.

use arbitrary::{Arbitrary, Result, Unstructured};

/// Numbers at which something changes.
const EDGES: [u64; 20] = [
    0,
    1,
    7,
    8,
    63,
    64,
    65,
    511,
    512,
    4096,
    1 << 16,
    (1 << 24) - 1,
    1 << 24,
    (1 << 31) - 1,
    (1 << 32) - 1,
    1 << 32,
    (1 << 63) - 1,
    1 << 63,
    u64::MAX - 1,
    u64::MAX,
];

/// A number in a file: usually the one that belongs there.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Number {
    /// What a recorder would have written.
    #[default]
    Natural,
    /// So much more.
    More(i8),
    /// A small one.
    Small(u8),
    /// One of those at which something changes.
    Edge(u8),
    /// Any.
    Any(u64),
}

impl<'a> Arbitrary<'a> for Number {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Number> {
        Ok(match u.arbitrary::<u8>()? {
            0..=159 => Number::Natural,
            160..=183 => Number::More(u.arbitrary()?),
            184..=207 => Number::Small(u.arbitrary()?),
            208..=247 => Number::Edge(u.arbitrary()?),
            248.. => Number::Any(u.arbitrary()?),
        })
    }
}

impl Number {
    /// The number, where a recorder would have written `natural`.
    pub fn or(self, natural: u64) -> u64 {
        match self {
            Number::Natural => natural,
            Number::More(distance) => natural.wrapping_add_signed(i64::from(distance)),
            Number::Small(number) => u64::from(number),
            Number::Edge(index) => EDGES[usize::from(index) % EDGES.len()],
            Number::Any(number) => number,
        }
    }
}

/// A session's directory.
#[derive(Arbitrary, Clone, Debug, Default)]
pub struct Directory {
    /// `session.spanring`; `None`: it is lost.
    pub session: Option<Session>,
    /// `names.spanring`.
    pub names: Option<Names>,
    /// `segment-000000.spanring` and so on.
    pub segments: Vec<Segment>,
    /// Segments that are gone, before the first.
    pub retired: u8,
    /// `ring-00000.spanring` and so on.
    pub rings: Vec<Ring>,
    /// What is done to the files afterwards.
    pub damage: Vec<Damage>,
}

/// The header of a file.
#[derive(Arbitrary, Clone, Debug, Default)]
pub struct Header {
    /// Its number.
    pub number: Number,
    /// Where its content begins.
    pub header_bytes: Number,
    /// It is of another session.
    pub other_session: bool,
}

/// A session file.
#[derive(Arbitrary, Clone, Debug, Default)]
pub struct Session {
    /// Its header.
    pub header: Header,
    /// What it says about the process.
    pub facts: Facts,
    /// Fields of the status, both copies.
    pub status: [Number; 12],
    /// It has been stopped.
    pub stopped: bool,
    /// What follows the facts.
    pub blocks: Vec<Block>,
}

/// Facts about the process.
#[derive(Arbitrary, Clone, Debug, Default)]
pub struct Facts {
    /// Its clocks, and their rate.
    pub clocks: [Number; 4],
    /// Numbers that identify it.
    pub process: [Number; 2],
    /// Bytes of slots in a ring.
    pub ring_bytes: Number,
    /// It is this very process.
    pub alive: bool,
    /// Its rings overwrite the oldest.
    pub flight: bool,
    /// They are in another directory.
    pub rings_elsewhere: bool,
    /// Lines that no recorder writes.
    pub lines: Repeated<Vec<u8>>,
}

/// Something, many times over: what grows with the size of a file is seen only if files are large.
#[derive(Arbitrary, Clone, Debug, Default)]
pub struct Repeated<T> {
    /// What.
    pub what: T,
    /// How often, less one.
    pub more: u16,
}

impl<T> Repeated<T> {
    /// How often, if each takes so many bytes: usually not very, and no file gets very long.
    pub fn times(&self, bytes: usize) -> u64 {
        let most = if self.more % 16 == 15 { MOST_BYTES } else { USUAL_BYTES };
        u64::from(self.more / 16) % (most / bytes.max(1)).max(1) as u64 + 1
    }
}

/// Bytes of what is repeated, at most.
const MOST_BYTES: usize = 256 << 10;
/// The same, for most inputs: so many more can be tried in the same time.
const USUAL_BYTES: usize = 4 << 10;

/// A segment.
#[derive(Arbitrary, Clone, Debug, Default)]
pub struct Segment {
    /// Its header.
    pub header: Header,
    /// It begins with the facts about the process, as it should.
    pub facts: Option<Facts>,
    /// Its other blocks.
    pub blocks: Vec<Block>,
    /// Bytes behind the last block, less one.
    pub room: u16,
}

/// A block.
#[derive(Arbitrary, Clone, Debug)]
pub struct Block {
    /// What it holds.
    pub content: Content,
    /// Its number, and its clocks.
    pub stamps: [Number; 3],
    /// Numbers about its records: thread, ring, first and next record, lost, position.
    pub range: [Number; 6],
}

/// What a block holds.
#[derive(Arbitrary, Clone, Debug)]
pub enum Content {
    /// Records.
    Records(Run),
    /// Records, compressed.
    Packed(Run),
    /// Definitions.
    Definitions(Names),
    /// A thread.
    Thread { id: Number, name: Repeated<u8> },
    /// A begin that was carried forward.
    Carried(Run),
    /// The end of the recording.
    End,
    /// Threads, each in a block of its own.
    Threads(u16),
    /// Anything.
    Other { kind: u16, payload: Vec<u8> },
}

/// Records in a row.
#[derive(Arbitrary, Clone, Debug, Default)]
pub struct Run {
    /// The records.
    pub records: Repeated<Vec<Record>>,
    /// By how much the number of a record is higher than that of the one before.
    pub step: Number,
}

/// A record.
#[derive(Arbitrary, Clone, Debug, Default)]
pub struct Record {
    /// Its kind, among the span kinds; now and then another.
    pub kind: u8,
    /// Its name.
    pub name: Name,
    /// Its number, span, parent, ticks, and the ticks of its begin.
    pub numbers: [Number; 5],
    /// Number of the definition of its place.
    pub site: u8,
    /// Bits that are flipped in its head.
    pub head: Number,
}

/// A record's name.
#[derive(Arbitrary, Clone, Debug, Default)]
pub enum Name {
    /// That of its place.
    #[default]
    OfSite,
    /// The definition of that number.
    Defined { index: u8, length: Number },
    /// Text that follows: so many bytes are said, and so many slots are there.
    RunTime { bytes: u16, slots: Number, byte: u8 },
}

/// Definitions.
#[derive(Arbitrary, Clone, Debug, Default)]
pub struct Names {
    /// The file's header, if they are a file.
    pub header: Header,
    /// The definitions.
    pub definitions: Repeated<Vec<Definition>>,
}

/// A definition.
#[derive(Arbitrary, Clone, Debug, Default)]
pub struct Definition {
    /// Its kind.
    pub kind: u8,
    /// Its address, less one.
    pub address: Number,
    /// Bytes of its four texts.
    pub lengths: [u8; 4],
    /// By how much the first is longer.
    pub longer: u16,
}

/// A ring file.
#[derive(Arbitrary, Clone, Debug, Default)]
pub struct Ring {
    /// Its header.
    pub header: Header,
    /// Slots, discipline, tail, drop mark, dropped, flushed position, flushed record, recent record, number of owners.
    pub words: [Number; 9],
    /// Where the records begin.
    pub start: Number,
    /// The records in it.
    pub run: Run,
    /// Its owners: thread, position, first record.
    pub owners: Vec<[Number; 3]>,
}

/// What is done to a file.
#[derive(Arbitrary, Clone, Debug)]
pub struct Damage {
    /// Which, in their order.
    pub file: u8,
    /// Where.
    pub at: u32,
    /// What.
    pub harm: Harm,
    /// The checksums are made right again.
    pub sealed: bool,
}

/// A kind of harm.
#[derive(Arbitrary, Clone, Debug)]
pub enum Harm {
    /// A bit is flipped.
    Flip(u8),
    /// A word is overwritten.
    Word(Number),
    /// Half a word is overwritten.
    Half(Number),
    /// The rest is cut off.
    Truncate,
    /// Zeroes take the place of what was there.
    Zero(u16),
    /// Bytes from elsewhere in the file take the place of what was there.
    Copy { from: u32, bytes: u16 },
    /// Bytes are put in between.
    Insert(Vec<u8>),
    /// Bytes are left out.
    Remove(u16),
    /// The file is gone.
    Lost,
}

impl Directory {
    /// A recording as it should be: every kind of block, and some records of each kind.
    pub fn plain() -> Directory {
        let records = |kinds: std::ops::Range<u8>| {
            let names = [
                Name::OfSite,
                Name::Defined { index: 0, length: Number::Natural },
                Name::RunTime { bytes: 70, slots: Number::Natural, byte: b'x' },
            ];
            let record =
                |kind: u8| Record { kind, name: names[usize::from(kind % 3)].clone(), site: kind, ..Record::default() };
            Run { records: Repeated { what: kinds.map(record).collect(), more: 0 }, step: Number::Natural }
        };
        let block = |content: Content| Block { content, stamps: Default::default(), range: Default::default() };
        let definition = |kind: u8| Definition { kind, lengths: [3, 4, 5, 6], ..Definition::default() };
        let names =
            Names { definitions: Repeated { what: (0..8).map(definition).collect(), more: 0 }, ..Names::default() };
        let blocks = vec![
            block(Content::Thread { id: Number::Natural, name: Repeated { what: b'w', more: 5 } }),
            block(Content::Definitions(names.clone())),
            block(Content::Records(records(0..8))),
            block(Content::Carried(records(0..1))),
        ];
        Directory {
            session: Some(Session::default()),
            names: Some(names),
            segments: vec![Segment { facts: Some(Facts::default()), blocks, ..Segment::default() }],
            rings: vec![Ring { run: records(0..8), owners: vec![[Number::Natural; 3]], ..Ring::default() }],
            ..Directory::default()
        }
    }
}

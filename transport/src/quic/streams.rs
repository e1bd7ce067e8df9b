//! Streams as frames: readers and writers whose waits can be dropped without losing a byte.
//!
//! Every byte of a stream is counted here, and nothing else is.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use bytes::{Buf as _, Bytes, BytesMut};
use quinn::{Connection, ConnectionError, ReadError, RecvStream, SendStream, WriteError};

use crate::wire::data::DATA_STREAM;
use crate::wire::frame::{DATA_FRAME_BYTES_MAX, Frame, FrameBuffer, Malformed};
use crate::wire::parcel::BACKFILL_STREAM;

/// Streams that a peer may open once both sides approve each other: data and backfill.
pub(super) const STREAMS_MAX: u32 = 2;

/// Most bytes taken from a stream at once.
const CHUNK_BYTES_MAX: usize = 64 << 10;

/// Bytes of one link's streams.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) sent: AtomicU64,
    pub(super) received: AtomicU64,
}

impl Counters {
    fn add(counter: &AtomicU64, bytes: usize) {
        counter.fetch_add(u64::try_from(bytes).unwrap_or(0), Ordering::Relaxed);
    }
}

/// Why a stream gives no more.
#[derive(Debug, thiserror::Error)]
pub(super) enum StreamEnded {
    #[error("the connection is lost")]
    Connection(#[source] ConnectionError),
    #[error("{0}")]
    Malformed(#[source] Malformed),
    #[error("the {0} stream was ended")]
    Ended(&'static str),
}

/// Reads frames from one stream.
#[derive(Debug)]
pub(super) struct FrameReader {
    stream: RecvStream,
    buffer: FrameBuffer,
    name: &'static str,
}

impl FrameReader {
    pub(super) fn new(stream: RecvStream, name: &'static str, bytes_max: usize) -> Self {
        Self {
            stream,
            buffer: FrameBuffer::new(bytes_max),
            name,
        }
    }

    /// The next frame. Dropping the wait loses nothing.
    pub(super) async fn next(&mut self, counters: &Counters) -> Result<Frame, StreamEnded> {
        loop {
            if let Some(frame) = self.buffer.next_frame().map_err(StreamEnded::Malformed)? {
                return Ok(frame);
            }
            match self.stream.read_chunk(CHUNK_BYTES_MAX, true).await {
                Ok(Some(chunk)) => {
                    Counters::add(&counters.received, chunk.bytes.len());
                    self.buffer.push(&chunk.bytes);
                }
                Err(ReadError::ConnectionLost(lost)) => return Err(StreamEnded::Connection(lost)),
                Ok(None) | Err(_) => return Err(StreamEnded::Ended(self.name)),
            }
        }
    }
}

/// Writes frames to one stream.
#[derive(Debug)]
pub(super) struct FrameWriter {
    stream: SendStream,
    unwritten: BytesMut,
    name: &'static str,
}

impl FrameWriter {
    pub(super) fn new(stream: SendStream, name: &'static str) -> Self {
        Self {
            stream,
            unwritten: BytesMut::new(),
            name,
        }
    }

    pub(super) fn push(&mut self, frame: &Bytes) {
        self.unwritten.extend_from_slice(frame);
    }

    pub(super) fn has_unwritten(&self) -> bool {
        !self.unwritten.is_empty()
    }

    /// Writes as much as the stream takes, at most so many bytes; says how many those were. Dropping the
    /// wait loses nothing.
    pub(super) async fn flush(
        &mut self,
        counters: &Counters,
        bytes_max: usize,
    ) -> Result<usize, StreamEnded> {
        let most = self.unwritten.len().min(bytes_max);
        let written = match self.stream.write(&self.unwritten[..most]).await {
            Ok(written) => written,
            Err(WriteError::ConnectionLost(lost)) => return Err(StreamEnded::Connection(lost)),
            Err(_) => return Err(StreamEnded::Ended(self.name)),
        };
        Counters::add(&counters.sent, written);
        self.unwritten.advance(written);
        Ok(written)
    }

    /// Says that nothing follows.
    pub(super) fn finish(&mut self) {
        // A stream that the peer already gave up needs no end.
        self.stream.finish().unwrap_or_default();
    }
}

/// Which of a peer's streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    Data,
    Backfill,
}

impl Lane {
    const fn of(first: u8) -> Option<Self> {
        match first {
            DATA_STREAM => Some(Self::Data),
            BACKFILL_STREAM => Some(Self::Backfill),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Backfill => "backfill",
        }
    }

    const fn first_byte(self) -> u8 {
        match self {
            Self::Data => DATA_STREAM,
            Self::Backfill => BACKFILL_STREAM,
        }
    }

    /// Entries overtake documents.
    const fn priority(self) -> i32 {
        match self {
            Self::Data => 0,
            Self::Backfill => -1,
        }
    }
}

/// The peer's data and backfill streams: accepted when a frame is wanted, told apart by the first byte.
#[derive(Debug, Default)]
pub(super) struct PeerStreams {
    /// Accepted, their first bytes still to come.
    unnamed: Vec<RecvStream>,
    data: Option<FrameReader>,
    backfill: Option<FrameReader>,
}

impl PeerStreams {
    /// The next frame of a stream that is wanted, the data stream's first. Dropping the wait loses nothing.
    pub(super) async fn next(
        &mut self,
        connection: &Connection,
        counters: &Counters,
        wants_data: bool,
        wants_backfill: bool,
    ) -> Result<(Lane, Frame), StreamEnded> {
        loop {
            let has_room =
                self.unnamed.len() < 2 && (self.data.is_none() || self.backfill.is_none());
            tokio::select! {
                biased;
                frame = next_of(&mut self.data, counters), if wants_data => {
                    return frame.map(|frame| (Lane::Data, frame));
                }
                (place, first) = first_byte(&mut self.unnamed) => {
                    let stream = self.unnamed.swap_remove(place);
                    Counters::add(&counters.received, 1);
                    self.name(stream, first?)?;
                }
                frame = next_of(&mut self.backfill, counters), if wants_backfill => {
                    return frame.map(|frame| (Lane::Backfill, frame));
                }
                accepted = connection.accept_uni(), if has_room => {
                    self.unnamed.push(accepted.map_err(StreamEnded::Connection)?);
                }
            }
        }
    }

    fn name(&mut self, stream: RecvStream, first: u8) -> Result<(), StreamEnded> {
        let unknown = || {
            StreamEnded::Malformed(Malformed::Meaningless {
                field: "the first byte of a stream",
                seen: u64::from(first),
            })
        };
        let lane = Lane::of(first).ok_or_else(unknown)?;
        let place = match lane {
            Lane::Data => &mut self.data,
            Lane::Backfill => &mut self.backfill,
        };
        if place.is_some() {
            return Err(unknown());
        }
        *place = Some(FrameReader::new(stream, lane.name(), DATA_FRAME_BYTES_MAX));
        Ok(())
    }
}

async fn next_of(
    reader: &mut Option<FrameReader>,
    counters: &Counters,
) -> Result<Frame, StreamEnded> {
    match reader {
        Some(reader) => reader.next(counters).await,
        None => std::future::pending().await,
    }
}

/// Which of the streams gave its first byte.
async fn first_byte(streams: &mut [RecvStream]) -> (usize, Result<u8, StreamEnded>) {
    poll_fn(|context| {
        for (place, stream) in streams.iter_mut().enumerate() {
            let mut first = [0];
            if let Poll::Ready(read) = stream.poll_read(context, &mut first) {
                return Poll::Ready((
                    place,
                    match read {
                        Ok(1) => Ok(first[0]),
                        Err(ReadError::ConnectionLost(lost)) => Err(StreamEnded::Connection(lost)),
                        Ok(_) | Err(_) => Err(StreamEnded::Ended("unnamed")),
                    },
                ));
            }
        }
        Poll::Pending
    })
    .await
}

/// A stream of ours: opened when the first frame is written.
#[derive(Debug)]
pub(super) struct LaneWriter {
    lane: Lane,
    frames: Option<FrameWriter>,
    first: Option<Bytes>,
}

impl LaneWriter {
    pub(super) const fn new(lane: Lane) -> Self {
        Self {
            lane,
            frames: None,
            first: None,
        }
    }

    pub(super) fn push(&mut self, frame: Bytes) {
        match &mut self.frames {
            Some(frames) => frames.push(&frame),
            None => self.first = Some(frame),
        }
    }

    pub(super) fn has_unwritten(&self) -> bool {
        self.first.is_some() || self.frames.as_ref().is_some_and(FrameWriter::has_unwritten)
    }

    /// Writes as much as the stream takes, at most so many bytes; says how many those were. Dropping the
    /// wait loses nothing.
    pub(super) async fn flush(
        &mut self,
        connection: &Connection,
        counters: &Counters,
        bytes_max: usize,
    ) -> Result<usize, StreamEnded> {
        if self.frames.is_none() {
            let stream = connection
                .open_uni()
                .await
                .map_err(StreamEnded::Connection)?;
            // A stream just opened takes a priority.
            stream
                .set_priority(self.lane.priority())
                .unwrap_or_default();
            let frames = FrameWriter::new(stream, self.lane.name());
            let frames = self.frames.insert(frames);
            frames.push(&Bytes::copy_from_slice(&[self.lane.first_byte()]));
            if let Some(first) = self.first.take() {
                frames.push(&first);
            }
        }
        match &mut self.frames {
            Some(frames) => frames.flush(counters, bytes_max).await,
            None => Ok(0),
        }
    }
}

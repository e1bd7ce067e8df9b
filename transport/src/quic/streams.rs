//! Streams as frames: readers and writers whose waits can be dropped without losing a byte.
//!
//! Every byte of a stream is counted here, and nothing else is.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Buf as _, Bytes, BytesMut};
use quinn::{Connection, ConnectionError, ReadError, RecvStream, SendStream, WriteError};

use crate::wire::data::DATA_STREAM;
use crate::wire::frame::{DATA_FRAME_BYTES_MAX, Frame, FrameBuffer, Malformed};

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

    /// Writes as much as the stream takes. Dropping the wait loses nothing.
    pub(super) async fn flush(&mut self, counters: &Counters) -> Result<(), StreamEnded> {
        let written = match self.stream.write(&self.unwritten).await {
            Ok(written) => written,
            Err(WriteError::ConnectionLost(lost)) => return Err(StreamEnded::Connection(lost)),
            Err(_) => return Err(StreamEnded::Ended(self.name)),
        };
        Counters::add(&counters.sent, written);
        self.unwritten.advance(written);
        Ok(())
    }

    /// Says that nothing follows.
    pub(super) fn finish(&mut self) {
        // A stream that the peer already gave up needs no end.
        self.stream.finish().unwrap_or_default();
    }
}

/// The peer's data stream: accepted when the first frame is wanted.
#[derive(Debug, Default)]
pub(super) struct DataReader {
    stream: Option<RecvStream>,
    frames: Option<FrameReader>,
}

impl DataReader {
    /// The next frame. Dropping the wait loses nothing.
    pub(super) async fn next(
        &mut self,
        connection: &Connection,
        counters: &Counters,
    ) -> Result<Frame, StreamEnded> {
        loop {
            if let Some(frames) = &mut self.frames {
                return frames.next(counters).await;
            }
            let Some(stream) = &mut self.stream else {
                let accepted = connection.accept_uni().await;
                self.stream = Some(accepted.map_err(StreamEnded::Connection)?);
                continue;
            };
            let mut first = [0];
            match stream.read(&mut first).await {
                Ok(Some(1)) if first == [DATA_STREAM] => {
                    Counters::add(&counters.received, 1);
                    self.frames = self
                        .stream
                        .take()
                        .map(|stream| FrameReader::new(stream, "data", DATA_FRAME_BYTES_MAX));
                }
                Ok(Some(1)) => {
                    return Err(StreamEnded::Malformed(Malformed::Meaningless {
                        field: "the first byte of a stream",
                        seen: u64::from(first[0]),
                    }));
                }
                Err(ReadError::ConnectionLost(lost)) => return Err(StreamEnded::Connection(lost)),
                Ok(_) | Err(_) => return Err(StreamEnded::Ended("data")),
            }
        }
    }
}

/// Our data stream: opened when the first frame is written.
#[derive(Debug, Default)]
pub(super) struct DataWriter {
    frames: Option<FrameWriter>,
    first: Option<Bytes>,
}

impl DataWriter {
    pub(super) fn push(&mut self, frame: Bytes) {
        match &mut self.frames {
            Some(frames) => frames.push(&frame),
            None => self.first = Some(frame),
        }
    }

    pub(super) fn has_unwritten(&self) -> bool {
        self.first.is_some() || self.frames.as_ref().is_some_and(FrameWriter::has_unwritten)
    }

    /// Writes as much as the stream takes. Dropping the wait loses nothing.
    pub(super) async fn flush(
        &mut self,
        connection: &Connection,
        counters: &Counters,
    ) -> Result<(), StreamEnded> {
        if self.frames.is_none() {
            let stream = connection
                .open_uni()
                .await
                .map_err(StreamEnded::Connection)?;
            let frames = self.frames.insert(FrameWriter::new(stream, "data"));
            frames.push(&Bytes::from_static(&[DATA_STREAM]));
            if let Some(first) = self.first.take() {
                frames.push(&first);
            }
        }
        match &mut self.frames {
            Some(frames) => frames.flush(counters).await,
            None => Ok(()),
        }
    }
}

//! A request's body that may not stand still.
//!
//! Guarantees that a wait for the next piece ends, in an error, once it took too long; a time in
//! which nobody asks for a piece does not count. It does not know how long the whole may take,
//! since an import of a year is as welcome as a line.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

/// Nothing came for longer than is waited for.
#[derive(Debug, thiserror::Error)]
#[error("nothing of the body came for {} ms", waited.as_millis())]
pub(crate) struct StoodStill {
    waited: Duration,
}

/// A body whose pieces come at most `pause` after they are asked for.
#[derive(Debug)]
pub(crate) struct Paced<B> {
    inner: B,
    pause: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<B> Paced<B> {
    /// Bounds every wait for a piece of `inner`.
    pub(crate) fn new(inner: B, pause: Duration) -> Self {
        Self {
            inner,
            pause,
            waiting: None,
        }
    }
}

impl<B> Body for Paced<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<axum::BoxError>,
{
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(context) {
            this.waiting = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let pause = this.pause;
        let waiting = this
            .waiting
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(pause)));
        waiting
            .as_mut()
            .poll(context)
            .map(|()| Some(Err(StoodStill { waited: pause }.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

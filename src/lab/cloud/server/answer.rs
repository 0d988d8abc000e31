//! HTTP answers.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;
use hyper::Response;
use hyper::body::{Bytes, Frame};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use hyper::http::StatusCode;
use serde::Serialize;

use super::super::Reply;
use super::whole;

pub(super) type Body = BoxBody<Bytes, io::Error>;

/// An answer of the API.
pub(super) fn xml(reply: Reply) -> Response<Body> {
    let mut response = response(reply.status, "text/xml", whole(reply.body));
    if let Ok(id) = HeaderValue::from_str(&reply.request_id) {
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    let headers = reply.headers.iter().filter_map(|(name, value)| Some((*name, HeaderValue::from_str(value).ok()?)));
    for (name, value) in headers {
        response.headers_mut().insert(name, value);
    }
    response
}

/// An answer that promises its whole length and ends in the middle.
pub(super) fn cut(reply: &Reply) -> Response<Body> {
    let half = Bytes::from(reply.body.as_bytes()[..reply.body.len() / 2].to_vec());
    let mut response = response(reply.status, "text/xml", Cut(Some(half)).boxed());
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(reply.body.len()));
    response
}

/// An answer of the oracle.
pub(super) fn json(status: u16, value: &impl Serialize) -> Response<Body> {
    match serde_json::to_vec_pretty(value) {
        Ok(text) => response(status, "application/json", whole(text)),
        Err(e) => response(500, "text/plain", whole(format!("cannot be written as JSON: {e}"))),
    }
}

fn response(status: u16, kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// A body that breaks off.
struct Cut(Option<Bytes>);

impl hyper::body::Body for Cut {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let next = match self.0.take() {
            Some(half) => Ok(Frame::data(half)),
            None => Err(io::Error::other("ordered to break off")),
        };
        Poll::Ready(Some(next))
    }
}

//! awsJson1.1: what comes in, what goes out.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use serde_json::{Value as Json, json};

use crate::error::{ApiError, ApiResult};
use crate::topics;

/// The service that a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    SecretsManager,
    Sqs,
    Sns,
}

/// The service and the operation that a request's `X-Amz-Target` names; for SNS, its form.
pub(crate) fn operation(target: Option<&str>, body: &[u8]) -> Option<(Service, String)> {
    let Some(target) = target else {
        return topics::operation(body).map(|operation| (Service::Sns, operation));
    };
    match target.split_once('.')? {
        ("secretsmanager", operation) => Some((Service::SecretsManager, operation.to_owned())),
        ("AmazonSQS", operation) => Some((Service::Sqs, operation.to_owned())),
        _ => None,
    }
}

/// An answer before it is sent.
pub(crate) struct Answer {
    status: u16,
    content_type: &'static str,
    error_code: Option<String>,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn of(outcome: ApiResult<Json>) -> Self {
        match outcome {
            Ok(members) => Self::json(200, &members),
            Err(error) => Self::error(&error),
        }
    }

    /// The answer of a service whose answers are XML.
    pub(crate) fn of_xml(outcome: ApiResult<String>) -> Self {
        match outcome {
            Ok(body) => Self::xml(200, body),
            Err(error) => Self::xml_error(&error),
        }
    }

    pub(crate) fn xml_error(error: &ApiError) -> Self {
        let ApiError { code, status, message } = error;
        let body = format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code>\
             <Message>{message}</Message></Error><RequestId>1</RequestId></ErrorResponse>"
        );
        Self::xml(*status, body)
    }

    fn xml(status: u16, body: String) -> Self {
        Self { status, content_type: "text/xml", error_code: None, body: body.into() }
    }

    pub(crate) fn error(error: &ApiError) -> Self {
        let members =
            json!({ "__type": error.code, "Message": error.message, "message": error.message });
        Self { error_code: Some(error.code.to_string()), ..Self::json(error.status, &members) }
    }

    fn json(status: u16, members: &Json) -> Self {
        Self {
            status,
            content_type: "application/x-amz-json-1.1",
            error_code: None,
            body: members.to_string().into(),
        }
    }

    pub(crate) fn html(status: u16) -> Self {
        Self {
            status,
            content_type: "text/html",
            error_code: None,
            body: format!("<html><body><h1>{status}</h1></body></html>").into(),
        }
    }

    /// A body that claims to be JSON.
    pub(crate) fn raw(status: u16, body: String) -> Self {
        Self { body: body.into(), ..Self::json(status, &Json::Null) }
    }

    /// The same answer with a body that isn't JSON.
    pub(crate) fn garbled(mut self) -> Self {
        let end = self.body.len().saturating_sub(1);
        let mut body = self.body.slice(..end).to_vec();
        body.extend_from_slice(b",<");
        self.body = body.into();
        self
    }

    pub(crate) fn into_response(self, truncated: bool) -> Response<AnswerBody> {
        let mut response = Response::new(AnswerBody {
            announced: self.body.len() as u64,
            left: if truncated { self.body.slice(..self.body.len() / 2) } else { self.body },
            end: if truncated { End::BreaksOffSoon } else { End::Regular },
        });
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        let request_id = crate::state::random_id();
        for (name, value) in
            [("x-amzn-requestid", Some(request_id)), ("x-amzn-errortype", self.error_code)]
        {
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
                headers.insert(name, value);
            }
        }
        response
    }
}

/// A body that may break off before its announced length.
#[derive(Debug)]
pub(crate) struct AnswerBody {
    announced: u64,
    left: Bytes,
    end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Regular,
    /// Breaks off one poll later: the server first has to send what it has.
    BreaksOffSoon,
    BreaksOff,
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if !self.left.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.left)))));
        }
        match self.end {
            End::Regular => Poll::Ready(None),
            End::BreaksOffSoon => {
                self.end = End::BreaksOff;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            End::BreaksOff => {
                self.end = End::Regular;
                Poll::Ready(Some(Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the connection broke in the middle of the body",
                ))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty() && self.end == End::Regular
    }

    fn size_hint(&self) -> SizeHint {
        // What the headers announce, which a body that breaks off doesn't keep.
        SizeHint::with_exact(self.announced)
    }
}

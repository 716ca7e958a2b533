//! Requests over a loopback socket: HTTP/1.1 with connections kept open.
//!
//! For clients in other processes and languages. The port is the system's choice unless the test
//! names one; the listener and its connections end with the server.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use crate::access::Caller;
use crate::shared::{Shared, lock};
use crate::wire::AnswerBody;

/// How many connections may wait to be accepted, as tokio's own listeners have it.
const BACKLOG: u32 = 1024;

/// The server of a handle. Its tasks end when the last handle drops it, and `stop` with it.
#[derive(Default)]
pub(crate) struct Server {
    slot: Mutex<Slot>,
}

#[derive(Default)]
struct Slot {
    address: Option<SocketAddr>,
    running: Option<Running>,
    /// Bound to the address but not listening: callers are refused, and no other program gets the
    /// port.
    kept: Option<TcpSocket>,
}

struct Running {
    /// Sent to or dropped, it ends the task.
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        lock(&self.slot).address
    }

    pub(crate) async fn start(&self, shared: Arc<Shared>, port: u16) -> io::Result<()> {
        let kept = lock(&self.slot).kept.take();
        let listener = match kept {
            Some(socket) => socket.listen(BACKLOG)?,
            None => TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?,
        };
        let address = listener.local_addr()?;
        shared.serves_at(format!("http://{address}"));
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(accept(listener, shared, stopped));
        let mut slot = lock(&self.slot);
        slot.address = Some(address);
        slot.running = Some(Running { stop, task });
        Ok(())
    }

    pub(crate) fn is_running(&self) -> bool {
        lock(&self.slot).running.is_some()
    }

    /// Returns when the listener and every connection are closed. The port is kept.
    pub(crate) async fn stop(&self) {
        let running = lock(&self.slot).running.take();
        if let Some(Running { stop, task }) = running {
            // The receiver is gone only if the task is, and then there's nothing to stop.
            let _ = stop.send(());
            let _ = task.await;
            let mut slot = lock(&self.slot);
            // If another is faster, it's as if the port were not kept.
            slot.kept = slot.address.and_then(|address| bound(address).ok());
        }
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // As a listener does: the closed connections linger.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, mut stopped: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            accepted = listener.accept() => {
                // What fails here is the connection's, such as a reset before it was accepted.
                let Ok((stream, _)) = accepted else { continue };
                shared.count_connection();
                connections.spawn(serve(stream, Arc::clone(&shared)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    connections.shutdown().await;
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    // Small answers shouldn't wait for more to send; without it they're only slower.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| answer(Arc::clone(&shared), request));
    // An error ends this connection, and the caller sees it on its side.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> io::Result<Response<AnswerBody>> {
    let target = request
        .headers()
        .get("x-amz-target")
        .and_then(|target| target.to_str().ok())
        .map(str::to_owned);
    let body: Bytes = request.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
    Ok(shared.answer(Caller::Client, target.as_deref(), body).await?)
}

//! ClamAV over its socket (<https://docs.clamav.net/manual/Usage/Scanning.html#clamd>): `INSTREAM`
//! within a session, on plain sockets with a deadline. It is asked and never waited for longer.

use std::{
    fmt,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use mailkeep_inspect::clamav_answer;
use mailkeep_model::one_line;
use socket2::{Domain, SockAddr, Socket, Type};
use thiserror::Error;

/// Bytes of a file that are sent: what `clamd` takes by default (`StreamMaxLength`).
const FILE_BYTES: usize = 25 << 20;
/// Bytes in one piece.
const PIECE: usize = 64 << 10;
/// Bytes of an answer; names of malware are short.
const ANSWER: usize = 4_096;
/// How long nobody asks again after it did not answer in time: a message must not wait for it, nor all
/// of them one after another.
const REST: Duration = Duration::from_secs(30);
/// How often it is tried to join the queue of a socket that is full.
const QUEUE_AGAIN: Duration = Duration::from_millis(20);

/// Where ClamAV listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClamAddress {
    /// A socket of this machine: `/run/clamav/clamd.ctl`.
    Socket(PathBuf),
    /// `tcp://127.0.0.1:3310`. What is sent there is people's mail, and it is not encrypted.
    Tcp(SocketAddr),
}

/// Text that is no address of ClamAV.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("'{0}' is neither the path of a socket nor tcp://ADDRESS:PORT")]
pub struct NoClamAddress(String);

impl FromStr for ClamAddress {
    type Err = NoClamAddress;

    fn from_str(text: &str) -> Result<Self, NoClamAddress> {
        if let Some(address) = text.strip_prefix("tcp://") {
            return address.parse().map(Self::Tcp).map_err(|_| NoClamAddress(text.to_owned()));
        }
        let path = text.strip_prefix("unix:").unwrap_or(text);
        if path.starts_with('/') {
            Ok(Self::Socket(path.into()))
        } else {
            Err(NoClamAddress(text.to_owned()))
        }
    }
}

impl fmt::Display for ClamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => path.display().fmt(f),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

/// Why ClamAV says nothing of a file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClamError {
    /// It is not there, or went away.
    #[error("ClamAV at {address} does not answer: {source}")]
    Silent {
        /// Where it was looked for.
        address: ClamAddress,
        /// What the system said.
        source: io::Error,
    },
    /// It was asked a moment ago and did not answer in time.
    #[error("ClamAV at {0} did not answer in time, and is left alone for a while")]
    Resting(ClamAddress),
    /// It answered something else than a scanner does.
    #[error("ClamAV at {address} says: {answer}")]
    Odd {
        /// Who.
        address: ClamAddress,
        /// What it said.
        answer: String,
    },
}

/// ClamAV, asked over its socket.
#[derive(Debug)]
pub struct ClamAv {
    address: ClamAddress,
    /// How long one message may take.
    within: Duration,
    /// Until when nobody asks, since it did not answer in time.
    resting: Mutex<Option<Instant>>,
}

impl ClamAv {
    /// ClamAV at that address, given that long for all files of one message together.
    pub fn new(address: ClamAddress, within: Duration) -> Self {
        Self { address, within, resting: Mutex::default() }
    }

    /// Where it listens.
    pub fn address(&self) -> &ClamAddress {
        &self.address
    }

    /// Its version and how old its signatures are, as it tells it: `ClamAV 1.4.3/27800/Fri Nov 27 …`.
    ///
    /// # Errors
    /// [`ClamError`].
    pub fn version(&self) -> Result<String, ClamError> {
        let asked = (|| {
            let mut connection = self.connect(Instant::now() + self.within)?;
            connection.write_all(b"zVERSION\0")?;
            connection.answer()
        })();
        let answer = asked.map_err(|source| self.silent(source))?;
        match answer.starts_with("ClamAV") {
            true => Ok(one_line(&answer)),
            false => Err(self.odd(&answer)),
        }
    }

    /// Begins to ask about the files of one message.
    ///
    /// # Errors
    /// [`ClamError`] when it cannot be asked.
    pub(super) fn begin(&self) -> Result<Session<'_>, ClamError> {
        let mut resting = self.resting();
        if let Some(until) = *resting {
            let now = Instant::now();
            if now < until {
                return Err(ClamError::Resting(self.address.clone()));
            }
            // One message finds out whether it answers again; the others need not wait with it.
            *resting = Some(now + self.within + REST);
        }
        drop(resting);
        let begun = (|| {
            let mut connection = self.connect(Instant::now() + self.within)?;
            connection.write_all(b"zIDSESSION\0")?;
            Ok(connection)
        })();
        let connection = begun.map_err(|source| self.silent(source))?;
        Ok(Session { clamav: self, connection, asked: 0 })
    }

    fn connect(&self, end: Instant) -> io::Result<Connection> {
        let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let stream = match &self.address {
            ClamAddress::Socket(path) => Stream::Unix(connect_unix(path, end)?),
            ClamAddress::Tcp(address) => Stream::Tcp(TcpStream::connect_timeout(address, left)?),
        };
        Ok(Connection { stream, end })
    }

    fn silent(&self, source: io::Error) -> ClamError {
        let late = matches!(source.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock);
        // What is not there says so at once, and costs the next message nothing.
        *self.resting() = late.then(|| Instant::now() + REST);
        ClamError::Silent { address: self.address.clone(), source }
    }

    fn resting(&self) -> MutexGuard<'_, Option<Instant>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn odd(&self, answer: &str) -> ClamError {
        let answer: String = one_line(answer).chars().take(200).collect();
        ClamError::Odd { address: self.address.clone(), answer }
    }
}

/// Asks about the files of one message.
pub(super) struct Session<'c> {
    clamav: &'c ClamAv,
    connection: Connection,
    asked: u64,
}

impl Session<'_> {
    /// Longer files are not sent.
    pub(super) const LONGEST: usize = FILE_BYTES;

    /// What is in a file; `None`: nothing that it knows.
    ///
    /// # Errors
    /// [`ClamError`]; nothing more can be asked in this session then.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> Result<Option<String>, ClamError> {
        self.asked += 1;
        let asked = self.connection.stream_out(bytes);
        // It may refuse a stream before it has all of it; then what it says counts, not the broken pipe.
        let answer = match self.connection.answer() {
            Ok(answer) => answer,
            Err(error) => return Err(self.clamav.silent(asked.err().unwrap_or(error))),
        };
        // That the system took a connection in its stead was no answer; this is.
        *self.clamav.resting() = None;
        clamav_answer(&answer, self.asked).map_err(|said| self.clamav.odd(said))
    }
}

/// A connection to a socket of this machine. The system keeps who connects waiting, for as long as it
/// takes, while the queue of a listener that hangs is full; nobody waits here beyond `end`.
fn connect_unix(path: &Path, end: Instant) -> io::Result<UnixStream> {
    let address = SockAddr::unix(path)?;
    loop {
        // One that was refused need not be fit for another try.
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        match socket.connect(&address) {
            Ok(()) => {
                socket.set_nonblocking(false)?;
                return Ok(UnixStream::from(OwnedFd::from(socket)));
            }
            Err(full) if full.kind() == io::ErrorKind::WouldBlock => {
                let left = end.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                thread::sleep(left.min(QUEUE_AGAIN));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// A connection that ends at a moment, whatever it is in the middle of.
struct Connection {
    stream: Stream,
    end: Instant,
}

impl Connection {
    fn stream_out(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(b"zINSTREAM\0")?;
        for piece in bytes.chunks(PIECE) {
            let length = u32::try_from(piece.len()).unwrap_or(u32::MAX);
            self.write_all(&length.to_be_bytes())?;
            self.write_all(piece)?;
        }
        self.write_all(&0_u32.to_be_bytes())
    }

    /// An answer up to the zero byte that ends it.
    fn answer(&mut self) -> io::Result<String> {
        let mut answer = Vec::new();
        let mut byte = [0];
        loop {
            let left = self.left()?;
            let read = match &mut self.stream {
                Stream::Unix(stream) => {
                    stream.set_read_timeout(Some(left))?;
                    stream.read(&mut byte)
                }
                Stream::Tcp(stream) => {
                    stream.set_read_timeout(Some(left))?;
                    stream.read(&mut byte)
                }
            };
            match read {
                Ok(0) if answer.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(0) => break,
                Ok(_) if byte[0] == 0 => break,
                Ok(_) if answer.len() == ANSWER => break,
                Ok(_) => answer.push(byte[0]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let left = self.left()?;
            let written = match &mut self.stream {
                Stream::Unix(stream) => {
                    stream.set_write_timeout(Some(left))?;
                    stream.write(bytes)
                }
                Stream::Tcp(stream) => {
                    stream.set_write_timeout(Some(left))?;
                    stream.write(bytes)
                }
            };
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    /// A scanner that takes so many bytes, says these answers, and then nothing.
    fn said(answers: &'static [&'static [u8]], within: Duration) -> (tempfile::TempDir, ClamAv) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("clamd.ctl");
        let listener = UnixListener::bind(&path).unwrap();
        std::thread::spawn(move || {
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = listener.accept() {
                for answer in answers {
                    let _ = stream.write_all(answer);
                }
                open.push(stream);
            }
        });
        (directory, ClamAv::new(ClamAddress::Socket(path), within))
    }

    #[test]
    fn an_answer_is_understood_in_or_out_of_a_session() {
        let (_directory, clamav) = said(
            &[
                b"1: stream: Our.Test FOUND\0",
                b"2: stream: OK\0",
                b"INSTREAM size limit exceeded. ERROR\0",
            ],
            Duration::from_secs(5),
        );
        let mut session = clamav.begin().unwrap();
        assert_eq!(session.scan(b"x").unwrap().as_deref(), Some("Our.Test"));
        assert_eq!(session.scan(b"").unwrap(), None);
        let error = session.scan(b"x").unwrap_err();
        assert!(
            matches!(&error, ClamError::Odd { answer, .. } if answer.contains("size limit")),
            "{error}"
        );
    }

    #[test]
    fn a_scanner_that_hangs_costs_one_message_its_time_and_the_next_ones_none() {
        let (_directory, clamav) = said(&[], Duration::from_millis(200));
        let begun = Instant::now();
        let mut session = clamav.begin().unwrap();
        // More than a socket takes in when nobody reads.
        assert!(matches!(session.scan(&vec![0; 4 << 20]), Err(ClamError::Silent { .. })));
        assert!(begun.elapsed() < Duration::from_secs(2));
        assert!(matches!(clamav.begin(), Err(ClamError::Resting(_))));
    }

    #[test]
    fn a_scanner_that_takes_nobody_from_its_full_queue_holds_no_backup_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("clamd.ctl");
        let _listener = UnixListener::bind(&path).unwrap();
        // Nobody is ever taken from the queue. Full it is when nobody gets in without waiting.
        let mut queue = Vec::new();
        while let Ok(stream) = connect_unix(&path, Instant::now()) {
            queue.push(stream);
            assert!(queue.len() < 100_000, "the queue has no end");
        }
        let clamav = ClamAv::new(ClamAddress::Socket(path), Duration::from_millis(200));
        let begun = Instant::now();
        assert!(matches!(clamav.begin(), Err(ClamError::Silent { .. })));
        assert!(matches!(clamav.begin(), Err(ClamError::Resting(_))));
        assert!(matches!(clamav.version(), Err(ClamError::Silent { .. })));
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }

    #[test]
    fn after_its_rest_one_message_tries_a_scanner_and_the_others_do_not_wait_with_it() {
        let (_directory, clamav) = said(&[], Duration::from_millis(200));
        *clamav.resting() = Some(Instant::now());
        let mut session = clamav.begin().unwrap();
        assert!(matches!(clamav.begin(), Err(ClamError::Resting(_))));
        assert!(session.scan(b"x").is_err());
        assert!(matches!(clamav.begin(), Err(ClamError::Resting(_))));

        let (_directory, clamav) = said(&[b"1: stream: OK\0"], Duration::from_secs(5));
        *clamav.resting() = Some(Instant::now());
        clamav.begin().unwrap().scan(b"x").unwrap();
        assert!(clamav.begin().is_ok(), "it answers again");
    }

    #[test]
    fn a_scanner_that_is_not_there_is_asked_again_for_the_next_message() {
        let absent = ClamAv::new("/nonexistent/clamd.ctl".parse().unwrap(), Duration::from_secs(1));
        assert!(matches!(absent.begin(), Err(ClamError::Silent { .. })));
        assert!(matches!(absent.begin(), Err(ClamError::Silent { .. })));
        assert!(absent.version().unwrap_err().to_string().contains("/nonexistent/clamd.ctl"));
    }

    #[test]
    fn an_address_is_a_socket_or_a_port() {
        for text in ["/run/clamav/clamd.ctl", "tcp://127.0.0.1:3310", "tcp://[::1]:3310"] {
            assert_eq!(text.parse::<ClamAddress>().unwrap().to_string(), text);
        }
        for bad in ["clamd.ctl", "tcp://localhost", "http://127.0.0.1:3310", ""] {
            assert!(bad.parse::<ClamAddress>().is_err(), "{bad}");
        }
    }
}

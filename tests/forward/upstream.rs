//! An upstream that answers as its script says, over UDP and TCP, and remembers what it was asked.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

/// One query as an upstream sees it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) message: Vec<u8>,
    pub(crate) peer: SocketAddr,
    pub(crate) over_tcp: bool,
}

impl Asked {
    pub(crate) fn id(&self) -> u16 {
        u16::from_be_bytes([self.message[0], self.message[1]])
    }

    pub(crate) fn flags(&self) -> u16 {
        u16::from_be_bytes([self.message[2], self.message[3]])
    }

    /// The question's name, as it is spelt.
    pub(crate) fn name(&self) -> String {
        let (mut name, mut at) = (String::new(), 12);
        while self.message[at] != 0 {
            let end = at + 1 + usize::from(self.message[at]);
            name += &String::from_utf8_lossy(&self.message[at + 1..end]);
            name.push('.');
            at = end;
        }
        if name.is_empty() { ".".into() } else { name }
    }

    /// The question section.
    pub(crate) fn question(&self) -> &[u8] {
        let name_end = 12
            + self.message[12..]
                .iter()
                .position(|&byte| byte == 0)
                .expect("a name");
        &self.message[12..name_end + 5]
    }

    /// The type asked for.
    pub(crate) fn record_type(&self) -> u16 {
        let [.., high, low, _, _] = *self.question() else {
            unreachable!("a question has a type and a class");
        };
        u16::from_be_bytes([high, low])
    }

    /// Whether the health of the upstream is looked after, and not a name.
    pub(crate) fn is_probe(&self) -> bool {
        self.name() == "."
    }
}

/// A reply in the making.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) id: u16,
    pub(crate) flags: u16,
    pub(crate) question: Vec<u8>,
    pub(crate) counts: [u16; 3],
    pub(crate) records: Vec<u8>,
}

impl Reply {
    /// QR, RD and RA, as a resolver has them, and no records.
    pub(crate) fn to(asked: &Asked) -> Self {
        Self {
            id: asked.id(),
            flags: 0x8180,
            question: asked.question().to_vec(),
            counts: [0; 3],
            records: Vec::new(),
        }
    }

    pub(crate) fn rcode(mut self, rcode: u16) -> Self {
        self.flags |= rcode;
        self
    }

    /// Sets more flags.
    pub(crate) fn with(mut self, flags: u16) -> Self {
        self.flags |= flags;
        self
    }

    /// A record of the question's name.
    pub(crate) fn answer(self, record_type: u16, ttl: u32, data: &[u8]) -> Self {
        self.record(0, b"\xc0\x0c", record_type, ttl, data)
    }

    /// This address where A is asked for, and nothing for other types.
    pub(crate) fn only_a(self, asked: &Asked, ttl: u32, last: u8) -> Self {
        if asked.record_type() == 1 {
            self.a(ttl, [192, 0, 2, last])
        } else {
            self.soa(ttl, ttl)
        }
    }

    pub(crate) fn a(self, ttl: u32, address: [u8; 4]) -> Self {
        self.answer(1, ttl, &address)
    }

    /// The SOA of the root, with this MINIMUM, in the authority section.
    pub(crate) fn soa(self, ttl: u32, minimum: u32) -> Self {
        let mut data = vec![0, 0];
        for number in [1_u32, 60, 60, 60, minimum] {
            data.extend(number.to_be_bytes());
        }
        self.record(1, b"\0", 6, ttl, &data)
    }

    /// A record; sections are to be filled in their order.
    pub(crate) fn record(
        mut self,
        section: usize,
        owner: &[u8],
        record_type: u16,
        ttl: u32,
        data: &[u8],
    ) -> Self {
        self.counts[section] += 1;
        self.records.extend(owner);
        self.records.extend(record_type.to_be_bytes());
        self.records.extend(1_u16.to_be_bytes());
        self.records.extend(ttl.to_be_bytes());
        let length = u16::try_from(data.len()).expect("short data");
        self.records.extend(length.to_be_bytes());
        self.records.extend(data);
        self
    }

    /// An OPT record with these upper bits of the response code and options.
    pub(crate) fn opt(mut self, upper_rcode: u8, options: &[u8]) -> Self {
        self.counts[2] += 1;
        self.records.extend(b"\0\0\x29\x04\xd0");
        self.records.extend([upper_rcode, 0, 0, 0]);
        let length = u16::try_from(options.len()).expect("few options");
        self.records.extend(length.to_be_bytes());
        self.records.extend(options);
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut message = Vec::new();
        let questions = u16::from(!self.question.is_empty());
        let [answers, authorities, additionals] = self.counts;
        for field in [
            self.id,
            self.flags,
            questions,
            answers,
            authorities,
            additionals,
        ] {
            message.extend(field.to_be_bytes());
        }
        message.extend(&self.question);
        message.extend(&self.records);
        message
    }
}

/// What an upstream does with a query: the messages that it sends for it.
type Script = dyn Fn(&Asked) -> Vec<Vec<u8>> + Send + Sync;

/// A running upstream; its ports are free again when it is dropped.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Upstream {
    /// Sends one reply to each query.
    pub(crate) fn answering(script: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::sending(move |asked| vec![script(asked).bytes()])
    }

    /// Answers every name with this address.
    pub(crate) fn with_address(last: u8) -> Self {
        Self::answering(move |asked| Reply::to(asked).a(300, [192, 0, 2, last]))
    }

    /// Never answers.
    pub(crate) fn silent() -> Self {
        Self::sending(|_| Vec::new())
    }

    /// Sends any messages for each query.
    pub(crate) fn sending(script: impl Fn(&Asked) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Self {
        let (udp, tcp) = loop {
            let tcp = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let address = tcp.local_addr().expect("it is bound");
            if let Ok(udp) = UdpSocket::bind(address) {
                break (udp, tcp);
            }
        };
        Self::on(udp, tcp, Arc::new(script))
    }

    /// Comes back at the address of one that was dropped.
    pub(crate) fn again_at(
        address: SocketAddr,
        script: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let udp = UdpSocket::bind(address).expect("the port is free again");
        let tcp = TcpListener::bind(address).expect("the port is free again");
        Self::on(udp, tcp, Arc::new(move |asked| vec![script(asked).bytes()]))
    }

    fn on(udp: UdpSocket, tcp: TcpListener, script: Arc<Script>) -> Self {
        let address = udp.local_addr().expect("it is bound");
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let datagrams = {
            let (script, asked, stop) = (script.clone(), asked.clone(), stop.clone());
            move || serve_udp(&udp, &*script, &asked, &stop)
        };
        let connections = {
            let (asked, stop) = (asked.clone(), stop.clone());
            move || serve_tcp(&tcp, &script, &asked, &stop)
        };
        Self {
            address,
            asked,
            stop,
            threads: vec![thread::spawn(datagrams), thread::spawn(connections)],
        }
    }

    /// The queries for names so far, in the order in which they came.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        let asked = self.asked.lock().expect("no holder panics");
        asked
            .iter()
            .filter(|asked| !asked.is_probe())
            .cloned()
            .collect()
    }

    /// How many queries for this name came so far.
    pub(crate) fn count_of(&self, name: &str) -> usize {
        let asked = self.asked();
        asked.iter().filter(|asked| asked.name() == name).count()
    }

    /// How many queries for names came so far.
    pub(crate) fn count(&self) -> usize {
        self.asked().len()
    }

    /// As a flag names it.
    pub(crate) fn flag(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Each wakes one thread, which then looks at `stop`.
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let _ = udp.send_to(&[], self.address);
        let _ = TcpStream::connect(self.address);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn serve_udp(socket: &UdpSocket, script: &Script, asked: &Mutex<Vec<Asked>>, stop: &AtomicBool) {
    let mut buffer = [0; 4096];
    while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let query = Asked {
            message: buffer[..length].to_vec(),
            peer,
            over_tcp: false,
        };
        asked.lock().expect("no holder panics").push(query.clone());
        for reply in script(&query) {
            let _ = socket.send_to(&reply, peer);
        }
    }
}

fn serve_tcp(
    listener: &TcpListener,
    script: &Arc<Script>,
    asked: &Arc<Mutex<Vec<Asked>>>,
    stop: &AtomicBool,
) {
    while let Ok((stream, peer)) = listener.accept() {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let (script, asked) = (script.clone(), asked.clone());
        thread::spawn(move || serve_stream(stream, peer, &*script, &asked));
    }
}

fn serve_stream(
    mut stream: TcpStream,
    peer: SocketAddr,
    script: &Script,
    asked: &Mutex<Vec<Asked>>,
) {
    let mut length = [0; 2];
    while stream.read_exact(&mut length).is_ok() {
        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
        if stream.read_exact(&mut message).is_err() {
            return;
        }
        let query = Asked {
            message,
            peer,
            over_tcp: true,
        };
        asked.lock().expect("no holder panics").push(query.clone());
        for reply in script(&query) {
            let length = u16::try_from(reply.len()).expect("a message");
            let _ = stream.write_all(&[&length.to_be_bytes(), &*reply].concat());
        }
    }
}

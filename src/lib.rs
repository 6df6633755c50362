//! An authoritative DNS server for mesh hostnames.
//!
//! meshdns reads Istio `ServiceEntry`, `WorkloadEntry` and `WorkloadGroup` objects and Kubernetes Pods from folders of
//! YAML and from clusters, and answers a name such as `svc1.internal.com` with the addresses of the healthy Pods and VMs that the
//! ServiceEntry selects. A machine without a sidecar, or CoreDNS forwarding a stub domain, then finds a service wherever
//! it runs while it moves from VMs to Kubernetes.
//!
//! # The line
//!
//! One straight line turns files into answers. Every step is a function from values to values. A snapshot is compiled
//! when the input changes, so a query only reads.
//!
//! ```text
//!  source ──▶ manifest ──▶ mesh ──▶ select ──▶ zone ──▶ answer ──▶ wire ──▶ serve
//!  batches    documents    Service  who is in  Snapshot sections   bytes    udp tcp
//!             +diagnostics Workload and why                                 tls https quic
//!                                    ▲ ▲          ▲
//!                        authority ──┼─┴──────────┘
//!                        who answers │ for a name
//!                        health ─────┘
//!                        what persons and checks say of endpoints
//! ```
//!
//! One change of a file, by the types that it passes through:
//!
//! ```text
//!  notify::Event ─▶ Wakeup ─▶ Batch ─▶ FileChange ─▶ Affected ─▶ Choice, Gathering ─▶ Compiled ─▶ Report ─▶ Snapshot
//!       source                         manifest      mesh        select               zone        pipeline  Status
//! ```
//!
//! A change of an object of a cluster comes as a [`mesh::ClusterEvent`] through a [`source::Inbox`], and goes the same way from there.
//!
//! And one query: bytes ─▶ [`answer::Query`] ─▶ [`zone::Found`] ─▶ [`authority::Verdict`] ─▶ [`answer::Answer`] ─▶ bytes; where
//! the verdict is that others answer, [`forward::Now`] comes before the answer.
//!
//! # The map
//!
//! Modules stand in the order of the line; a module names only modules above it.
//!
//! | Module | Owns |
//! | --- | --- |
//! | `parallel` | work on many values, on all cores where that is worth it |
//! | `wording` | how numbers and tables are written for people |
//! | `chain` | an error with all that caused it, in one line |
//! | [`diagnostic`] | what is wrong with the user's input, and where |
//! | [`dns`] | the RFCs' vocabulary: names, types, TTLs, serials |
//! | [`manifest`] | what the YAML, or a cluster's JSON, says: reading, and every validation rule |
//! | [`mesh`] | what it means: services, workloads, which version of an object counts, the incremental index |
//! | [`health`] | what our own checks say of endpoints: observations in, rulings out |
//! | [`authority`] | which zone owns a name, and who answers for it: the mesh, or others |
//! | [`select`] | the endpoints each host answers with, and why not the others |
//! | [`catalogue`] | what there is to see of hosts, a row each |
//! | [`zone`] | which records exist: the snapshot, and how a change reaches it |
//! | [`answer`] | a question against a snapshot |
//! | [`wire`] | bytes: parsing queries, writing replies, EDNS, truncation |
//! | [`history`] | what was answered before, and what changed it |
//! | [`pipeline`] | the line as one value: changes in, snapshot out |
//! | [`explain`] | why a name answers what it does |
//!
//! Above this line the code does no I/O and reads no clock. Below it is the shell: files, sockets, clocks.
//!
//! | Module | Owns |
//! | --- | --- |
//! | [`status`] | what `/ready` and `/metrics` show of the loop |
//! | [`metrics`] | what is counted, and the page that shows it |
//! | `precedence` | which threads the scheduler prefers |
//! | `threads` | threads and tasks that have to start, and to last |
//! | `descriptors` | how the files that the process may have open are shared out |
//! | `admission` | who may connect where places and memory are limited, and who makes room |
//! | [`state`] | the last good state on disk, for a start at which files can't be read |
//! | [`source`] | batches of changes from files, events from clusters; when to look or ask, and how far to trust what is found |
//! | [`control`] | the loop over batches that ends in publish |
//! | [`probe`] | our own checks of endpoints: sockets, and when they are due |
//! | [`forward`] | names that are not ours: upstreams, what is kept of them, aliases into the mesh |
//! | [`resolve`] | endpoints that are names, looked up again by TTL |
//! | [`serve`] | sockets over every transport: batches, framing, limits, certificates |
//! | [`http`] | `/metrics`, `/health` and `/ready` |
//! | [`ui`] | the status pages and their API, on a listener of their own |
//! | `hickory` | the mesh inside of a program that uses hickory-server (feature `hickory`) |
//! | [`config`] | settings from flags, variables and the configuration file |
//! | [`cli`] | what people type, and what they read |
//!
//! # Invariants
//!
//! 1. A query loads the snapshot once. Nothing on its path joins two sources or takes a lock.
//! 2. [`answer::answer`] is total: no `Result`, no `.await`, no clock, no I/O. Variation comes in with the query.
//! 3. Every transport and every command reads the same [`zone::Snapshot`] and the same [`select::Selection`].
//! 4. NODATA, NXDOMAIN and "not ours" are outcomes, never errors.
//! 5. A bad document never hides a good one; what can't be read never replaces what is served. An object that is gone is gone
//!    at once: a document that names no object keeps nothing alive but what it may have been.
//! 6. After `mesh`, a Pod and a VM differ in which group of a host's endpoints they are (`select/split`), and in what `explain` prints.
//! 7. Only `control` publishes. A change costs in proportion to what it touches, diagnostics and status included, and the
//!    result equals a full rebuild (`tests/it/properties.rs` says so).
//! 8. One reader and one writer of DNS messages serve every transport of ours: [`wire`]. Only `hickory`, for programs that use
//!    hickory-server, leaves both to that.
//! 9. Equal inputs give equal snapshots.
//! 10. Every queue, buffer, cache and table has a limit.
//! 11. One function says who answers for a name and type: [`authority::Place::verdict`]. Answers, endpoints that are names,
//!     `explain`, `list`, `check` and the forwarder ask it (`tests/it/properties.rs` holds answers to it).
//! 12. Ready means that the first batch was complete and nothing in it is unread, that the last good state stands in for what is,
//!     or that the patience with it ended; `/ready` says what is missing. Until then nothing is denied.
//!
//! # Decisions
//!
//! **A wildcard answers as in Istio, written down as in DNS.** Istio's agent walks suffixes and knows no closest
//! encloser; a DNS server that did the same would disagree with its secondaries. [`zone::Editor`] gives the names that
//! exist for DNS a copy of the wildcard that reaches past them. A copy names its source, so that new endpoints touch one
//! node. Cost: adding or removing a wildcard touches every name below it.
//!
//! **Names below a host are made when they are asked for** (`zone/made`). SRV owners, the names of endpoints (`10-0-1-11.<host>`) and what is above them are
//! read from the asked name and the one node of the host: half a million endpoints cost no name. What SRV says besides addresses is held where endpoints
//! differ in it, and a service's ports are one copy for all services with the same ones: a host pays four bytes for its ports, and one without any pays nothing.
//! They are looked for only where no node is found, so that ordinary questions pay nothing. Cost: an SRV question looks its host up twice, and an endpoint that
//! is such a name of another host is no endpoint ([`authority`] knows no address).
//!
//! **One name for an address** (`zone/pointers`): clients that check names forwards and backwards take the first of several. Whose it is depends on age alone,
//! so that it does not change with health. Held apart from the snapshot's names, and only where a zone of addresses is declared. Cost: some 150 bytes an address there.
//!
//! **A snapshot holds addresses, not records**, in blocks of a few names each that a change packs anew
//! (`zone/shard.rs`). A lookup touches two or three cache lines, and the twelve bytes in front of each address are the
//! same: writing them costs less than fetching them from memory. Many addresses are held once, however many names answer
//! with them.
//!
//! **One serial for all zones**, counting 50 ms steps of the clock ([`dns::Serial`]): it grows over restarts without a
//! state file, and a publish never touches a zone that did not change. Cost: a secondary of one zone looks again when
//! another one changed. Revisit with transfers.
//!
//! **The order of addresses is random per query**, not counted: a client that asks A and AAAA in turn would always meet
//! the same parity of a counter.
//!
//! **A ServiceEntry takes one name, not the names below it.** Where an upstream answers, a host has its addresses here and
//! its other types there, and names below it, or above it, are the upstream's; but what exists in the mesh exists, whatever the
//! upstream says of it. Types that can lead to addresses (HTTPS, SVCB, CNAME) stay here. Without an upstream a host is a zone
//! of its own, so that resolvers get SOA, NXDOMAIN and "no data" as of any zone. Cost: the same name may answer another type
//! with or without an upstream, and where upstreams are asked, a name above hosts is a node of the snapshot.
//!
//! **A host that the mesh leaves to DNS is not ours.** Resolution `DNS`, `DNS_ROUND_ROBIN` and `DYNAMIC_DNS` without endpoints
//! mean the host's own DNS name, and so does an endpoint of that name; `NONE` without addresses means the address that the
//! client has looked up already (Istio's agent forwards all of them: `pkg/dns/client/dns.go`). Where an upstream answers for
//! it, such a name is forwarded, a hole in whatever zone or wildcard is around it; without one it is "no data" in a zone that
//! is ours as a whole, and REFUSED elsewhere.
//!
//! **An endpoint that is a name means what a client of this server gets for that name.** What others say of it is an input
//! of the core, told from outside as files are ([`pipeline::Pipeline::take_in_names`]); what the mesh says of it is the
//! union of all that is reached by going from name to name ([`select::gather()`]). A name that leads back to its host is
//! looked up outside, as Envoy does: hosts that lead to each other are found as strongly connected components, so that the
//! answer does not depend on where the walk begins. Each host remembers the names that it was compiled with, and only the
//! hosts of a name that means something else are compiled again. An upstream's "no such name" takes addresses away, a failure
//! does not. Cost: an upstream that wrongly says that a name does not exist takes it out of service.
//!
//! **What can't be read at the start is unknown, not absent.** The first snapshot is published without it and knows that it does
//! not know all ([`zone::Snapshot::knows_all`]): its negative answers are SERVFAIL, which costs the others nothing. After 30 s it
//! counts as absent. Cost: a file that nobody may read keeps each start from being ready for 30 s, unless a state folder is set.
//!
//! **The last good state is a mesh file** ([`state`]): the objects of each file as manifests again, as little of each as gives the
//! same answers. It is taken in before the first look, as if it had been read, and the first look does to it what any look does
//! to what was read: no rule is there twice. Cost: a writer of manifests, held to the reader by a law over all cases; and a change in
//! a file of many objects writes all of them, every 10 s at most.
//!
//! **A start lists a cluster, whatever the state holds.** A watch from a version that was kept would spare the list, but a server
//! does not say when such a watch has caught up, so that nobody would know when the state is the present; what was said of objects,
//! and which were refused, is not in the state; and a cluster that is restored from a backup counts its versions anew. Cost: a list
//! at each start, some 25 µs of CPU an object. Revisit when servers tell where a watch that goes on has caught up.
//!
//! **An object of a cluster is a unit of its own, and none is remembered twice.** What a file holds is known by the file; what a
//! cluster holds is known by the objects' own keys, for a table with an entry for each of 200,000 would be a fifth of the mesh. A
//! list stages what differs from what is known and counts as a whole when it ends ([`mesh::ClusterEvent`]), so that nobody is
//! answered from half of it and nothing waits for it. Cost: a list begins with a look at every object.
//!
//! **kube brings the connection to a cluster, and nothing else** (`source/cluster`). It finds kubeconfigs and service accounts, gets
//! credentials and speaks TLS. What comes is cut into objects while it comes, and each is read by [`manifest`] from its bytes:
//! the rules are those of files, and a list takes as much memory as its largest object. What to ask next is one pure function
//! (`progress`), and a list that is read again tells only what differs. Cost: some 1,500 lines that kube's own watcher would
//! spare. HTTP/1.1 it is, as kube has it: each watch is a connection, and asked for 30 s at a time, so that silence means that it
//! is dead. Revisit when kube speaks HTTP/2.
//!
//! **Health is judged once, for each endpoint** ([`health::Verdicts`]). An object says what it says; a person's word, a report and
//! a check of ours are joined by rank when a host is compiled, and answers, `explain` and the counts are made from that one
//! judgement. Which endpoint has which check is derived from the mesh, so that nothing has to be registered, and whoever probes is
//! told targets and tells rulings ([`health::Ruling`]): the core knows no clock but the time that it is told with each compile.
//! Where nobody notes anything and nothing is checked, no object is looked at twice. Cost: the time at which a word ends is one more
//! reason to compile.
//!
//! **A share is carried by membership, never by order** (`select/split`, `zone/draws`). Clients sort what they get: one of glibc takes
//! the nearest address, wherever it stands. So who asks for himself gets addresses of one group, drawn by the shares for each question, and
//! who asks for others a set in their proportion. Both are systematic samples, drawn from the one number that comes with the query: exact,
//! without memory, and nothing is stored for a client. Shares follow health without a clock, so that replicas agree.
//! Who asks is looked up for hosts whose answer depends on it, and for forwarded names: the query is answered for a client, and again
//! where the snapshot knows the asker for a forwarder ([`zone::Snapshot::asker`]). Forwarders are found in the mesh, so the snapshot has
//! them and not the shell. Cost: a forwarder's question for such a host is answered twice.
//!
//! **Near endpoints are a share of their own.** Which part of a zone's questions its endpoints carry is computed when a host is compiled
//! (`select/split/nearness`), once for each zone and region that the host has endpoints in, and never for a client: a query brings
//! where it is asked from, and a table is looked up. Where an address is, and whose, is known for all Pods and WorkloadEntries while
//! an answer depends on it ([`mesh::Residents`]), and not otherwise.
//!
//! **A view is a snapshot** (`pipeline/views`). What `exportTo` keeps from a client has to be absent for it, with all that absence means for the
//! names above and below, the zones and the wildcards; so a namespace that sees something of its own has a snapshot of its own, edited as
//! the public one is, and the law is that it answers as a mesh without what is hidden. Cost: such a namespace holds the names of the mesh
//! once more, and, while there are views, each query is answered for a client and then for who it is.
//!
//! **An answer holds what fits** ([`manifest::MaxAddresses`]): a stub that never asks over TCP gets some addresses instead of none, each as often as
//! any other. Cost: an answer tells no longer that there are more.
//!
//! **YAML means what Kubernetes takes it for.** A scalar without quotes is read as `sigs.k8s.io/yaml` does
//! (`manifest/read/plain_scalar`): `yes` is a boolean, `010` is eight. What the API server would refuse is refused here.
//!
//! **What a file is, it is as a whole** (`manifest/stray`). A document that is no object is a mistake beside an object of
//! ours, and a note in a file that names none. Cost: a new file whose every object is misspelt beyond recognition is a note.
//!
//! **Forwarding writes records anew, in wire form** ([`forward`]). What an upstream says is checked for the form of names and
//! data, compressed, and ordered by need: answers, what a negative answer needs, the rest of the authority section, the
//! additional one. Types that nobody here knows come through as bytes. The cache holds those bytes, the places of the TTLs and
//! three lengths to cut at, and a UDP worker answers from it without waiting. A query that has to wait leaves the worker with a
//! place of a limited number. Cost: some 500 lines of our own, held to hickory-proto by property tests.
//!
//! **What becomes of a forwarded question is one pure function** (`forward/decide`) over what is kept, who is up, which way
//! the question came and whether there is a place; a table test names every case.
//!
//! **Our loop mark costs no answer.** An upstream is asked with as much EDNS as it is known to bear; silence teaches only until
//! it has answered. Cost: an upstream that turns deaf to options after its first answer is slow until it is down.
//!
//! **One task owns the connection to a TCP or TLS upstream**, and questions are pipelined (RFC 7766). Cost: a connection that
//! dies delays what is on it by 0.7 to 3 s.
//!
//! **An alias that leads into the mesh is completed when it is answered** (RFC 1034 §4.3.2, step 3a), so that the cache keeps
//! the upstream's part and the addresses follow the mesh. Cost: signatures of the alias are left out.
//!
//! **One client leaves places to others** (`forward/shares`). It may hold three times as many as are free, of those who wait for
//! upstreams and of what is under way to each. No number has to be chosen for it, and a forwarder that asks for everyone gets three
//! quarters. Cost: the last quarter is idle while nobody else asks.
//!
//! **What an upstream says of mesh names is left out when it is passed on**, not when it is kept: the mesh changes meanwhile. A
//! reply that speaks of the asked name and type alone, as most do, is never looked at; others once for each snapshot. Cost: a
//! reply with such records is written anew each time.
//!
//! **Cookies are on by default** ([`serve::CookieKeys`]): they protect clients from forged answers, and cost those nothing who send none.
//! Limits by network are off: a forwarder is one network. Nobody is refused for want of a cookie (BADCOOKIE): TC says the same to
//! everyone. Cost: a hash for each cookie that a worker does not remember, and 28 bytes
//! in the answer.
//!
//! **hickory-server is a second opinion, and a place in other people's servers.** Its listener and encoder serve the same
//! answers in tests, and every field must be equal. Cost: six crates behind a feature, and some lines anew with each of its
//! minor versions.
//!
//! **QUIC is quinn's, not hickory-server's** ([`serve`]). A handler of hickory-server's listener answers in records, which
//! are encoded anew: other bytes than over TCP, padded to other lengths, and a large answer that no longer fits. And while one
//! client greets, others wait. What DNS adds to QUIC is a length and a few rules (RFC 9250). Revisit when its listener takes bytes.
//!
//! **A certificate is followed by looking**, every two seconds, not by events: two small files cost nothing to look at, and
//! events would have to be told apart for every way in which secrets are swapped. A pair that does not fit together gets a
//! second look before anyone complains: its halves may be written one after the other.
//!
//! **Hosts that select alike share what they answer.** Endpoints are gathered and encoded once for each namespace and
//! set of labels, however many ServiceEntries select by it, and many records are held once. Cost: a host whose
//! ServiceEntries select by several sets of labels shares with none.
//!
//! **Questions wait for the first load** in their sockets, for a second at most: a SERVFAIL would outlast a restart, for
//! CoreDNS passes it on and keeps it for 5 s (`tests/interop` restarts a server under load). Later ones get SERVFAIL, so
//! that those who ask go on to another server while a large mesh loads.
//!
//! **Plain YAML has a reader of its own** (`manifest/read/plain`), seven times as fast as `serde_yaml`.
//! Cost: one more reader, held to a law by a property test and a fuzz target: what it takes it reads as `serde_yaml` does, and
//! it leaves all else to that, every mistake included. Revisit when a crate comes near its speed. JSON is `serde_json`'s: a reader
//! of our own saved a tenth of what `check` takes (callgrind, the mesh of `make bench-scale`), and nobody waited for that.
//!
//! **NODATA over NXDOMAIN**: a host without a healthy endpoint exists. An NXDOMAIN for AAAA would take the A record with
//! it in musl, glibc and .NET (istio/istio#31250).

// ---- core: values in, values out; in the order of the line (blank lines keep rustfmt from sorting) ----

mod parallel;

mod wording;

mod chain;

pub mod diagnostic;

pub mod dns;

pub mod manifest;

pub mod mesh;

pub mod health;

pub mod authority;

pub mod select;

pub mod catalogue;

pub mod zone;

pub mod answer;

pub mod wire;

pub mod history;

pub mod pipeline;

pub mod explain;

// ---- shell: files, sockets, clocks ----

pub mod status;

pub mod metrics;

mod precedence;

mod threads;

mod descriptors;

mod admission;

pub mod state;

pub mod source;

pub mod control;

pub mod probe;

pub mod forward;

pub mod resolve;

pub mod serve;

pub mod http;

pub mod ui;

#[cfg(feature = "hickory")]
pub mod hickory;

/// The code of the page is compiled.
#[cfg(all(doctest, feature = "hickory"))]
#[doc = include_str!("../docs/hickory.md")]
struct HickoryPage;

pub mod config;

pub mod cli;

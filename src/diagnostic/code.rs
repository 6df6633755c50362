//! The stable codes of all diagnostics, one constant a rule.
//!
//! `MDNS0xx` speak of files and documents, `MDNS1xx` of any object, `MDNS2xx` of `ServiceEntries`, `MDNS3xx` of
//! `WorkloadEntries` and inline endpoints (which have the same fields), `MDNS4xx` of `WorkloadGroups`, `MDNS5xx` of Pods,
//! `MDNS6xx` of the mesh as a whole. A code is never given to another rule.
//!
//! A number such as S6 is this project's for a rule of Istio's CRDs or webhook; `tests/validation/` has an example of each.

use std::fmt;

/// A stable code such as `MDNS203`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Code(&'static str);

impl Code {
    /// The code's text.
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// Whether it speaks of a file that holds nothing of a mesh: whoever shows diagnostics shows these last.
    pub fn is_of_no_manifest(self) -> bool {
        self == NO_MANIFEST || self == TEMPLATE
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Declares the constants and [`ALL`] from one table, so that neither can miss an entry.
macro_rules! codes {
    ($(#[doc = $meaning:literal] $name:ident = $code:literal;)*) => {
        $(#[doc = $meaning] pub const $name: Code = Code($code);)*

        /// Every code with its meaning in one line, in order.
        pub const ALL: &[(Code, &str)] = &[$(($name, $meaning.trim_ascii_start())),*];
    };
}

codes! {
    /// The file can't be opened or read.
    FILE_UNREADABLE = "MDNS001";
    /// The file, or a document in it, is larger than meshdns reads.
    FILE_TOO_LARGE = "MDNS002";
    /// The file is not UTF-8.
    ENCODING = "MDNS003";
    /// The document is neither YAML nor JSON.
    SYNTAX = "MDNS004";
    /// Mappings and lists are nested too deeply.
    TOO_DEEP = "MDNS005";
    /// Aliases unfold to far more than the document holds.
    ALIAS_EXPANSION = "MDNS006";
    /// The document or list item is not a mapping.
    NOT_AN_OBJECT = "MDNS007";
    /// `apiVersion` or `kind` is missing or not a text.
    NO_KIND = "MDNS008";
    /// A mapping has the same key twice.
    DUPLICATE_KEY = "MDNS009";
    /// A list's `items` is not a list, or lists are nested too deeply.
    BAD_LIST = "MDNS010";
    /// What a merge key `<<` names is not a mapping.
    BAD_MERGE = "MDNS011";
    /// The file is no manifest: nothing in it names an object that meshdns reads.
    NO_MANIFEST = "MDNS012";
    /// The file is a template, which has to be rendered first.
    TEMPLATE = "MDNS013";
    /// More is wrong in the file than is told.
    MORE_IN_FILE = "MDNS014";
    /// The file changed whenever it was read.
    FILE_IN_MOTION = "MDNS020";
    /// A folder has files, and none is a manifest that meshdns reads.
    NO_MANIFESTS = "MDNS021";
    /// A link is not followed, or a folder is not listed: a rule or a limit is against it.
    NOT_FOLLOWED = "MDNS022";

    /// The `apiVersion` is one that meshdns does not read (for this kind).
    API_VERSION = "MDNS101";
    /// The kind is unknown, but close to one that meshdns reads.
    UNKNOWN_KIND = "MDNS102";
    /// The object has no `spec` (G1).
    NO_SPEC = "MDNS103";
    /// A top-level key is not `apiVersion`, `kind`, `metadata`, `spec` or `status` (G4).
    TOP_LEVEL_FIELD = "MDNS104";
    /// The annotation `istio.io/dry-run` stands on a kind that does not know it (G2).
    DRY_RUN = "MDNS105";
    /// An annotation is reserved for Istio itself (G3).
    INTERNAL_ANNOTATION = "MDNS106";
    /// No such field: it is ignored (G5).
    UNKNOWN_FIELD = "MDNS107";
    /// A value has the wrong type (G6, G8).
    WRONG_TYPE = "MDNS108";
    /// A value is null where Kubernetes needs one (G7, S17).
    NULL = "MDNS109";
    /// An enum has no such value (G9, S43).
    UNKNOWN_ENUM = "MDNS110";
    /// `metadata.name` is missing or not a DNS subdomain.
    NAME = "MDNS111";
    /// `metadata.namespace` is not a DNS label.
    NAMESPACE = "MDNS112";
    /// A label's key or value is malformed (S35, E7, W2).
    LABEL = "MDNS113";
    /// A timestamp is not RFC 3339.
    TIMESTAMP = "MDNS114";
    /// A list or mapping has more items than the CRD allows (S2, S14, S24, S36, S44, S47, W14).
    TOO_MANY = "MDNS115";
    /// A text is longer than the CRD allows (S14, S36, S47).
    TOO_LONG = "MDNS116";
    /// The object has more problems than are shown.
    MORE_PROBLEMS = "MDNS117";
    /// An annotation's key is malformed, or the annotations are larger than the API server stores.
    ANNOTATION = "MDNS118";
    /// An annotation `meshdns.io/…` is none that meshdns reads, or has a value that it does not.
    OUR_ANNOTATION = "MDNS119";
    /// An annotation that asks something of answers can't be read: the object is used, with what the annotation said before.
    UNREADABLE_ANNOTATION = "MDNS120";

    /// A `ServiceEntry` has no host (S1).
    NO_HOSTS = "MDNS201";
    /// The host `*` stands for every name (S3).
    HOST_ANY = "MDNS202";
    /// A host is empty or too long (S4).
    HOST_LENGTH = "MDNS203";
    /// A label of a host is malformed (S5, S6).
    HOST_LABEL = "MDNS204";
    /// A host's last label is a number (S7).
    HOST_NUMERIC = "MDNS205";
    /// A host begins with a partial wildcard, which DNS can't answer (S9).
    HOST_PARTIAL_WILDCARD = "MDNS206";
    /// A wildcard host with resolution DNS needs endpoints (S10).
    WILDCARD_NEEDS_ENDPOINTS = "MDNS207";
    /// Several hosts share a port whose protocol can't tell them apart (S11).
    SEVERAL_HOSTS_TCP = "MDNS208";
    /// Several hosts share addresses and a TCP port (S12).
    SEVERAL_HOSTS_ADDRESSES = "MDNS209";
    /// An entry of `addresses` is neither an IP address nor a CIDR block (S13).
    VIP_SYNTAX = "MDNS210";
    /// A CIDR block in `addresses` needs resolution NONE or STATIC (S15).
    VIP_BLOCK = "MDNS211";
    /// A TCP port without addresses, where Istio allocates none (S16).
    TCP_WITHOUT_ADDRESSES = "MDNS212";
    /// Two ports have the same name (S18).
    PORT_NAME_TAKEN = "MDNS213";
    /// Two ports have the same number (S19).
    PORT_NUMBER_TAKEN = "MDNS214";
    /// A port's number is missing or not in 1 to 65535 (S20).
    PORT_NUMBER = "MDNS215";
    /// A port's `targetPort` is not in 1 to 65535 (S21).
    TARGET_PORT = "MDNS216";
    /// A port's name is missing or not a DNS label (S22).
    PORT_NAME = "MDNS217";
    /// A port's protocol is unknown (S23).
    PROTOCOL = "MDNS218";
    /// Both `workloadSelector` and `endpoints` are set (S25).
    SELECTOR_AND_ENDPOINTS = "MDNS219";
    /// `endpoints` with resolution NONE (S26).
    NONE_WITH_ENDPOINTS = "MDNS220";
    /// `workloadSelector` with resolution NONE (S27).
    NONE_WITH_SELECTOR = "MDNS221";
    /// An endpoint of resolution STATIC is a name (S29).
    STATIC_NAME = "MDNS222";
    /// A unix endpoint needs exactly one service port (S32).
    UNIX_SERVICE_PORTS = "MDNS223";
    /// An endpoint's port is none of the service's (S33).
    ENDPOINT_PORT_UNKNOWN = "MDNS224";
    /// An endpoint of resolution DNS is neither an IP address nor a name (S37).
    DNS_ENDPOINT = "MDNS225";
    /// More than one endpoint with resolution `DNS_ROUND_ROBIN` (S38).
    ROUND_ROBIN_ENDPOINTS = "MDNS226";
    /// A host of resolution `DYNAMIC_DNS` is not a wildcard (S39).
    DYNAMIC_DNS_HOST = "MDNS227";
    /// `addresses` or `endpoints` with resolution `DYNAMIC_DNS` (S40).
    DYNAMIC_DNS_FIELD = "MDNS228";
    /// A port of resolution `DYNAMIC_DNS` is not HTTP, HTTP2, GRPC or TLS (S41).
    DYNAMIC_DNS_PROTOCOL = "MDNS229";
    /// Resolution `DYNAMIC_DNS` inside the mesh together with a waypoint (S42).
    DYNAMIC_DNS_WAYPOINT = "MDNS230";
    /// A selector's key is empty (S45).
    SELECTOR_KEY = "MDNS231";
    /// A selector's key or value has a `*` (S46).
    SELECTOR_WILDCARD = "MDNS232";
    /// A selector has no labels and selects nothing (S48).
    SELECTOR_EMPTY = "MDNS233";
    /// An entry of `exportTo` is not `.`, `*`, `~` or a namespace (S49).
    EXPORT_TO = "MDNS234";
    /// `exportTo` names a namespace twice (S50).
    EXPORT_TO_TWICE = "MDNS235";
    /// `*` in `exportTo` stands beside others (S51).
    EXPORT_TO_ALL = "MDNS236";
    /// `~` in `exportTo` stands beside others (S52).
    EXPORT_TO_NONE = "MDNS237";
    /// Istio takes the host, but no DNS name can carry it: it answers nothing.
    HOST_UNUSABLE = "MDNS238";
    /// An entry of `addresses` is of class E (240.0.0.0/4), which nobody routes: it is never an answer.
    VIP_UNROUTED = "MDNS239";

    /// Neither `address` nor `network` is set (S28, E1).
    NO_ADDRESS = "MDNS301";
    /// Only `network` is set: there is no address to answer with (S28, E2).
    NETWORK_ONLY = "MDNS302";
    /// The address is neither an IP address nor a name nor a unix socket (E3).
    ADDRESS_SYNTAX = "MDNS303";
    /// A unix address is not an absolute path or `@name` (S30, E4).
    UNIX_PATH = "MDNS304";
    /// A unix address has `ports` (S31, E5).
    UNIX_PORTS = "MDNS305";
    /// An entry of the `ports` mapping has a malformed name or number (S34, E6).
    PORT_MAP = "MDNS306";
    /// The address has an IPv6 zone, which DNS can't answer.
    ADDRESS_ZONE = "MDNS307";
    /// The weight is not a 32-bit count (S36, E8).
    WEIGHT = "MDNS308";

    /// A `WorkloadGroup` has no `template` (W1).
    NO_TEMPLATE = "MDNS401";
    /// A probe says not how to probe (W3).
    PROBE_METHOD = "MDNS402";
    /// A probe has more than one method (W4).
    PROBE_METHODS = "MDNS403";
    /// A probe's time or threshold is negative (W5).
    PROBE_NUMBER = "MDNS404";
    /// A probe's port is missing or not in 1 to 65535 (W6, W9, W11).
    PROBE_PORT = "MDNS405";
    /// A probe's scheme is neither HTTP nor HTTPS (W7).
    PROBE_SCHEME = "MDNS406";
    /// A probe's header name is malformed (W8).
    PROBE_HEADER = "MDNS407";
    /// A probe's command is empty (W10).
    PROBE_COMMAND = "MDNS408";

    /// A Pod's IP can't be read.
    POD_IP = "MDNS501";

    /// The same object stands in two places: the last in path order is used.
    DUPLICATE_OBJECT = "MDNS601";
    /// Another namespace's `ServiceEntry` has the host: this one does not answer.
    HOST_TAKEN = "MDNS602";
    /// An endpoint is a name, which adds nothing without an upstream to resolve it.
    NAME_ENDPOINT = "MDNS603";
    /// A selector matches no Pod and no `WorkloadEntry`.
    SELECTS_NOTHING = "MDNS604";
    /// An `RRset` does not fit a DNS message: answers hold a part of it.
    RRSET_TOO_LARGE = "MDNS605";
    /// An object's newest version can't be used: the last good one serves.
    LAST_GOOD_SERVED = "MDNS606";
    /// An endpoint is a name that leads back to its host, and no upstream is asked for it.
    NAME_LOOP = "MDNS607";
    /// An endpoint is a name of a declared zone, and no host has it.
    NO_SUCH_HOST = "MDNS608";
    /// No `ServiceEntry` picks the `WorkloadEntry`.
    NOT_SELECTED = "MDNS609";
    /// Of several `ServiceEntries` with resolution `DNS_ROUND_ROBIN` another one's endpoint is taken.
    ROUND_ROBIN = "MDNS610";
    /// An object of a file is in a cluster too: the cluster's is used.
    IN_CLUSTER = "MDNS611";
    /// A probe is meant for an endpoint that can't be probed from here.
    NOT_CHECKED = "MDNS612";
    /// A probe names a host: it is sent there as a name, and never connected to.
    PROBE_HOST = "MDNS613";
    /// An annotation is about checks, and the configuration has none.
    CHECK_IGNORED = "MDNS614";
    /// A group is to have a share of a host's questions, and has no endpoint.
    EMPTY_SHARE = "MDNS615";
    /// `WorkloadEntries` have weights beside Pods, which weigh 1.
    WEIGHTS_BESIDE_PODS = "MDNS616";
    /// Groups that share a host's questions have no family of addresses in common.
    NO_COMMON_FAMILY = "MDNS617";
    /// A host has the share that an older `ServiceEntry` asks for.
    SHARE_TAKEN = "MDNS618";
    /// A `WorkloadEntry` has the labels of a `WorkloadGroup`, and nothing ties it to that.
    UNTIED = "MDNS619";
    /// An annotation asks for HTTPS records that a host can't have.
    HTTPS_NOT_GIVEN = "MDNS625";
    /// An annotation asks that addresses lead to a host, and their own names are in no declared zone.
    NO_POINTER = "MDNS626";
}

// SPDX-License-Identifier: Apache-2.0
//! The command line, with the options that Prometheus exporters usually have.

use std::{
    env,
    ffi::OsString,
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    str::FromStr,
    time::Duration,
};

use clap::{
    Arg, ArgAction, Args, Parser, Subcommand, ValueEnum,
    builder::{BoolishValueParser, OsStringValueParser, Resettable, TypedValueParser},
};
use clap_complete::Shell;
use url::Url;

use crate::config::duration::parse_duration;

/// What was built, for `--version`.
const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (revision ",
    env!("BUILD_REVISION"),
    ", rustc ",
    env!("BUILD_RUSTVERSION"),
    ")"
);

/// Prometheus exporter for conferencing systems.
#[derive(Debug, Parser)]
#[command(
    name = "conferencing_exporter",
    version = VERSION,
    max_term_width = 100,
    after_help = "Each option is also an environment variable: --web.max-requests is \
                  CONFERENCING_EXPORTER_WEB_MAX_REQUESTS. Options win over variables."
)]
pub struct Cli {
    /// Options of all commands.
    #[command(flatten)]
    pub options: Options,
    /// What to do; `serve` by default.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do.
#[derive(Clone, Debug, Default, Subcommand)]
pub enum Command {
    /// Serve metrics (the default)
    #[default]
    Serve,
    /// Check the configuration; with --live also ask the sources
    Check(Check),
    /// Print the JSON Schema of the configuration file
    Schema,
    /// Ask the exporter running on this machine whether it is healthy: exit status 0 or 1
    Healthcheck,
    /// Print the completion script for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Print the manual page
    Man,
}

/// What to check.
#[derive(Args, Clone, Debug, Default)]
pub struct Check {
    /// Names of the sources to check; without any, all
    #[arg(value_name = "NAME", conflicts_with = "replay")]
    pub names: Vec<String>,

    /// Also log in to each source, query it once, print the result, and log out
    #[arg(long)]
    pub live: bool,

    /// Write what the systems answer, made anonymous, into this folder: one file for each source, which
    /// may be attached to a bug report
    #[arg(long, value_name = "DIR", requires = "live")]
    pub record: Option<PathBuf>,

    /// Make the numbers of such files again, without asking any system, and show what differs
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "live")]
    pub replay: Vec<PathBuf>,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done: exit status 0.
    Done,
    /// Failed while running: 1.
    Failed,
    /// Unusable arguments or configuration: 2.
    Unusable,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::Failed => Self::FAILURE,
            Exit::Unusable => Self::from(2),
        }
    }
}

/// Options of all commands.
#[derive(Args, Clone, Debug)]
#[command(mut_args = before_or_after_the_command)]
pub struct Options {
    /// Configuration file, or a folder whose files `*.yaml` are read in the order of their names;
    /// repeatable. Names of sources are unique over all files
    #[arg(
        long = "config.file",
        value_name = "PATH",
        env = "CONFERENCING_EXPORTER_CONFIG_FILE",
        default_value = "exporter.yaml",
        value_delimiter = ','
    )]
    pub config_files: Vec<PathBuf>,

    /// How often to check whether the configuration files have changed, and reload them if so; `0s`:
    /// never
    #[arg(
        long = "config.auto-reload-interval",
        value_name = "DURATION",
        env = "CONFERENCING_EXPORTER_CONFIG_AUTO_RELOAD_INTERVAL",
        default_value = "0s",
        value_parser = parse_duration
    )]
    pub auto_reload_interval: Duration,

    /// Address to listen on; repeatable. `:PORT` means all interfaces, IPv4 and IPv6; `unix:PATH` is
    /// a Unix socket
    #[arg(
        long = "web.listen-address",
        value_name = "ADDR",
        env = "CONFERENCING_EXPORTER_WEB_LISTEN_ADDRESS",
        default_value = ":19680",
        value_delimiter = ','
    )]
    pub listen_addresses: Vec<ListenAddress>,

    /// Path of the metrics
    #[arg(
        long = "web.telemetry-path",
        value_name = "PATH",
        env = "CONFERENCING_EXPORTER_WEB_TELEMETRY_PATH",
        default_value = "/metrics",
        value_parser = parse_telemetry_path
    )]
    pub telemetry_path: String,

    /// Web configuration file with TLS, basic authentication and HTTP headers, in the format
    /// of Prometheus' exporter-toolkit
    #[arg(
        long = "web.config.file",
        value_name = "PATH",
        env = "CONFERENCING_EXPORTER_WEB_CONFIG_FILE",
        default_value = "",
        hide_default_value = true,
        value_parser = OsStringValueParser::new().map(OptionalPath::from)
    )]
    pub web_config_file: OptionalPath,

    /// URL under which the exporter is reached from outside, if it stands behind a reverse proxy
    #[arg(
        long = "web.external-url",
        value_name = "URL",
        env = "CONFERENCING_EXPORTER_WEB_EXTERNAL_URL",
        default_value = "",
        hide_default_value = true,
        value_parser = parse_external_url
    )]
    pub external_url: ExternalUrl,

    /// Prefix of all paths; by default the path of --web.external-url
    #[arg(
        long = "web.route-prefix",
        value_name = "PATH",
        env = "CONFERENCING_EXPORTER_WEB_ROUTE_PREFIX",
        value_parser = parse_route_prefix
    )]
    pub route_prefix: Option<String>,

    /// Allow `POST /-/reload`
    #[arg(
        long = "web.enable-lifecycle",
        env = "CONFERENCING_EXPORTER_WEB_ENABLE_LIFECYCLE",
        value_name = "BOOL",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value = "false",
        default_missing_value = "true",
        hide_default_value = true,
        value_parser = BoolishValueParser::new()
    )]
    pub enable_lifecycle: bool,

    /// Maximum number of scrapes in flight; further ones are answered with 503
    #[arg(
        long = "web.max-requests",
        value_name = "N",
        env = "CONFERENCING_EXPORTER_WEB_MAX_REQUESTS",
        default_value_t = 40,
        value_parser = clap::value_parser!(u32).range(1..=100_000)
    )]
    pub max_requests: u32,

    /// Listen on the sockets that systemd passes instead of --web.listen-address
    #[arg(
        long = "web.systemd-socket",
        env = "CONFERENCING_EXPORTER_WEB_SYSTEMD_SOCKET",
        value_name = "BOOL",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value = "false",
        default_missing_value = "true",
        hide_default_value = true,
        value_parser = BoolishValueParser::new()
    )]
    pub systemd_socket: bool,

    /// Subtracted from Prometheus' scrape timeout
    #[arg(
        long = "scrape.timeout-offset",
        value_name = "DURATION",
        env = "CONFERENCING_EXPORTER_SCRAPE_TIMEOUT_OFFSET",
        default_value = "500ms",
        value_parser = parse_duration
    )]
    pub timeout_offset: Duration,

    /// Only log messages of this severity or above
    #[arg(
        long = "log.level",
        value_name = "LEVEL",
        env = "CONFERENCING_EXPORTER_LOG_LEVEL",
        default_value = "info",
        ignore_case = true,
        value_enum
    )]
    pub log_level: LogLevel,

    /// Format of log messages
    #[arg(
        long = "log.format",
        value_name = "FORMAT",
        env = "CONFERENCING_EXPORTER_LOG_FORMAT",
        default_value = "logfmt",
        ignore_case = true,
        value_enum
    )]
    pub log_format: LogFormat,
}

impl Options {
    /// The names of the configuration files, for a message.
    pub fn config_names(&self) -> String {
        let names = self.config_files.iter().map(|path| path.display().to_string());
        names.collect::<Vec<_>>().join(", ")
    }

    /// The prefix of all paths: empty, or starting with `/` and not ending with it.
    pub fn prefix(&self) -> &str {
        match (&self.route_prefix, &self.external_url.0) {
            (Some(prefix), _) => prefix,
            (None, Some(url)) => url.path().trim_end_matches('/'),
            (None, None) => "",
        }
    }
}

/// Least severe messages to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// Failures of the exporter itself.
    Error,
    /// Failures of sources, and what may need attention.
    Warn,
    /// Changes of state, such as a start, a reload or a recovery.
    Info,
    /// Details, among them each repeated failure.
    Debug,
}

/// Format of log messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// `key=value` pairs.
    Logfmt,
    /// One JSON object for each line.
    Json,
}

/// A path; an empty one is none, as in Prometheus' own flags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OptionalPath(pub Option<PathBuf>);

impl From<OsString> for OptionalPath {
    fn from(path: OsString) -> Self {
        Self((!path.is_empty()).then(|| path.into()))
    }
}

/// The URL under which the exporter is reached from outside, if one was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExternalUrl(pub Option<Url>);

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// All interfaces, IPv4 and IPv6.
    Everywhere(u16),
    /// One address.
    Address(SocketAddr),
    /// Whatever a name resolves to.
    Name(String, u16),
    /// A Unix socket.
    Unix(PathBuf),
}

/// Where a client on this machine reaches an address that is listened on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Here {
    /// Host and port.
    Tcp(String, u16),
    /// A Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Here {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Text that is no address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid address, expected `:19680`, `127.0.0.1:19680`, `[::1]:19680` or `unix:/run/exporter.sock`"
)]
pub struct InvalidAddress;

impl FromStr for ListenAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let text = text.trim();
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { Err(InvalidAddress) } else { Ok(Self::Unix(path.into())) };
        }
        let (host, port) = text.rsplit_once(':').ok_or(InvalidAddress)?;
        let port = port.parse().map_err(|_| InvalidAddress)?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        match host {
            "" => Ok(Self::Everywhere(port)),
            host if host.chars().all(is_name) => Ok(Self::Name(host.to_owned(), port)),
            _ => Err(InvalidAddress),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everywhere(port) => write!(f, ":{port}"),
            Self::Address(address) => address.fmt(f),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl ListenAddress {
    /// Where a client on this machine reaches it.
    pub fn from_here(&self) -> Here {
        let loopback = || Ipv4Addr::LOCALHOST.to_string();
        match self {
            Self::Everywhere(port) => Here::Tcp(loopback(), *port),
            Self::Address(address) if address.ip() == IpAddr::V4(Ipv4Addr::UNSPECIFIED) => {
                Here::Tcp(loopback(), address.port())
            }
            Self::Address(address) if address.ip().is_unspecified() => {
                Here::Tcp("::1".to_owned(), address.port())
            }
            Self::Address(address) => Here::Tcp(address.ip().to_string(), address.port()),
            Self::Name(name, port) => Here::Tcp(name.clone(), *port),
            Self::Unix(path) => Here::Unix(path.clone()),
        }
    }
}

/// Which options belong together, by what their names begin with.
const HEADINGS: [(&str, &str); 4] =
    [("config.", "Configuration"), ("web.", "Web"), ("scrape.", "Scrapes"), ("log.", "Logging")];

/// The end of the help says how the variables are called; it need not say so 15 times. One that is
/// set and empty counts as not set.
fn before_or_after_the_command(option: Arg) -> Arg {
    let long = option.get_long().unwrap_or_default();
    let heading = HEADINGS.iter().find(|(prefix, _)| long.starts_with(prefix));
    let heading = heading.map(|(_, heading)| *heading);
    let option = option.global(true).hide_env(true).help_heading(heading);
    let is_empty = option.get_env().and_then(env::var_os).is_some_and(|value| value.is_empty());
    if is_empty { option.env(Resettable::Reset) } else { option }
}

/// Reads a path such as `/metrics`, to compare with those of requests as they are.
fn parse_telemetry_path(text: &str) -> Result<String, String> {
    let path = text.trim_end_matches('/');
    if path.is_empty() {
        return Err("invalid path: must not be `/`, which is the status page's".to_owned());
    }
    let taken = ["/probe", "/sd", "/-/healthy", "/-/ready", "/-/reload"];
    if taken.contains(&path) {
        return Err(format!("invalid path: {path} is in use by the exporter itself"));
    }
    check_path(path).map(str::to_owned)
}

fn parse_route_prefix(text: &str) -> Result<String, String> {
    let path = text.trim_matches('/');
    check_path(&format!("/{path}"))?;
    Ok(if path.is_empty() { String::new() } else { format!("/{path}") })
}

fn check_path(path: &str) -> Result<&str, String> {
    let allowed =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.' | '~' | '%');
    if !path.starts_with('/') {
        return Err("invalid path: must start with `/`".to_owned());
    }
    if !path.chars().all(allowed) || path.contains("//") {
        return Err(
            "invalid path: must consist of letters, digits, `-`, `_`, `.` and `~` between `/`"
                .to_owned(),
        );
    }
    Ok(path)
}

fn parse_external_url(text: &str) -> Result<ExternalUrl, String> {
    if text.is_empty() {
        return Ok(ExternalUrl(None));
    }
    let wanted = "expected something like `https://example.com/conferencing/`";
    let url = Url::parse(text).map_err(|error| format!("invalid URL: {error}; {wanted}"))?;
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !plain {
        return Err(format!(
            "invalid URL: must be http or https, without user, query and fragment; {wanted}"
        ));
    }
    check_path(url.path())?;
    Ok(ExternalUrl(Some(url)))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(arguments: &[&str]) -> Cli {
        Cli::try_parse_from(["conferencing_exporter"].iter().chain(arguments)).expect("valid")
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_option_has_its_variable() {
        for argument in Cli::command().get_arguments() {
            let Some(long) = argument.get_long().filter(|long| long.contains('.')) else {
                continue;
            };
            let name = long.to_uppercase().replace(['.', '-'], "_");
            let expected = format!("CONFERENCING_EXPORTER_{name}");
            assert_eq!(argument.get_env().and_then(|env| env.to_str()), Some(expected.as_str()));
        }
    }

    #[test]
    fn options_may_follow_the_command() {
        let cli = parse(&["check", "--config.file", "other.yaml", "--live", "a", "b"]);
        assert_eq!(cli.options.config_files, [PathBuf::from("other.yaml")]);
        let Some(Command::Check(check)) = cli.command else { panic!("{cli:?}") };
        assert!(check.live);
        assert_eq!(check.names, ["a", "b"]);
        let cli = parse(&["--log.level=debug", "check", "a", "--record", "dir", "--live", "b"]);
        assert_eq!(cli.options.log_level, LogLevel::Debug);
        let Some(Command::Check(check)) = cli.command else { panic!("{cli:?}") };
        assert_eq!(check.names, ["a", "b"]);
        assert_eq!(check.record, Some(PathBuf::from("dir")));
    }

    #[test]
    fn a_flag_can_be_taken_back_and_words_are_taken_in_any_case() {
        for (argument, is_on) in [
            ("--web.enable-lifecycle", true),
            ("--web.enable-lifecycle=true", true),
            ("--web.enable-lifecycle=false", false),
            ("--web.enable-lifecycle=No", false),
        ] {
            assert_eq!(parse(&[argument]).options.enable_lifecycle, is_on, "{argument}");
        }
        // What follows a flag is the command.
        let cli = parse(&["--web.systemd-socket", "schema"]);
        assert!(cli.options.systemd_socket && matches!(cli.command, Some(Command::Schema)));
        let options = parse(&["--log.level", "WARN", "--log.format=Json"]).options;
        assert_eq!((options.log_level, options.log_format), (LogLevel::Warn, LogFormat::Json));
    }

    #[test]
    fn addresses() {
        let parse = |text: &str| text.parse::<ListenAddress>();
        assert_eq!(parse(":19680"), Ok(ListenAddress::Everywhere(19680)));
        assert_eq!(parse("localhost:0"), Ok(ListenAddress::Name("localhost".to_owned(), 0)));
        for address in ["127.0.0.1:9", "[::1]:9", "0.0.0.0:80"] {
            assert_eq!(parse(address).expect(address).to_string(), address);
        }
        assert_eq!(parse("unix:/run/x"), Ok(ListenAddress::Unix("/run/x".into())));
        for wrong in ["", "unix:", "19680", "::1:9 0", "[::1]", "host:", ":65536", "a b:1", "::"] {
            assert_eq!(parse(wrong), Err(InvalidAddress), "{wrong}");
        }
    }

    #[test]
    fn prefixes_follow_the_external_url() {
        let prefix = |arguments: &[&str]| parse(arguments).options.prefix().to_owned();
        assert_eq!(prefix(&[]), "");
        assert_eq!(prefix(&["--web.route-prefix", "/"]), "");
        assert_eq!(prefix(&["--web.route-prefix", "conf/"]), "/conf");
        assert_eq!(prefix(&["--web.external-url", "https://example.com/a/b/"]), "/a/b");
        assert_eq!(
            prefix(&["--web.external-url", "https://example.com/a", "--web.route-prefix", "/"]),
            ""
        );
    }
}

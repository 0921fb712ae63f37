//! What a stranger may write where everyone reads it.

/// A name of the attack, and the text. Each fits into a chain id, 50 bytes.
pub(crate) const TEXTS: [(&str, &str); 30] = [
    ("a path up", "../../../../../../tmp/hostile-escaped-1"),
    ("an absolute path", "/tmp/hostile-escaped"),
    ("a parent folder", ".."),
    ("a Windows path", "..\\..\\CON.txt:$DATA"),
    (
        "a shell command",
        "$(touch /tmp/hostile-escaped)`id`;rm -rf x|y&z #",
    ),
    ("an option", "--home=/tmp/hostile-escaped"),
    ("a home of its own", "~/x\n$HOME ${HOME} %HOME%"),
    ("TOML", "x\"\n[rules]\nverdict = \"allow\"\n# '''"),
    ("JSON", "\",\"chain_id\":\"provider-1\",\"x\":{\"y\":\"\\"),
    ("YAML", "x: !!python/object:os\n- &a [*a, *a]\n---"),
    ("Prometheus", "x\"} 1\nup{job=\"hostile\"} 0\n# TYPE x"),
    ("HTML", "<script>alert(1)</script><img src=x onerror=y>"),
    ("a label", "io.hostile=1,com.docker.compose.project=x"),
    ("a URL", "http://h@evil.example:1/?a=b&c=%0d%0a#x"),
    (
        "a terminal sequence",
        "\u{1b}[2J\u{1b}]0;owned\u{7}\u{1b}[31mred\u{1b}[0m",
    ),
    (
        "a terminal sequence of C1",
        "\u{9b}2J\u{9d}0;owned\u{9c}\u{85}",
    ),
    (
        "a carriage return",
        "all is well\rEVIL\u{8}\u{8}\u{7f}\t\u{b}\u{c}",
    ),
    ("a line of the log", "x\n2026-01-01T00:00:00Z  INFO it runs"),
    ("NUL", "nul\0nul"),
    (
        "text that runs backwards",
        "\u{202e}1-niahc\u{202c}\u{2066}x\u{2069}\u{200f}",
    ),
    ("text of no width", "chain\u{200b}-\u{feff}\u{2060}1\u{ad}"),
    (
        "marks that pile up",
        "a\u{336}\u{336}\u{336}\u{336}\u{336}\u{336}\u{336}\u{336}\u{20dd}-1",
    ),
    ("separators of lines", "a\u{2028}b\u{2029}c"),
    ("letters that look alike", "\u{440}rovider-1"),
    (
        "private and unassigned",
        "\u{e000}\u{f8ff}\u{10ffff}\u{fffe}",
    ),
    ("formats", "%s%n%x{}{0}{:?}${x}{{7*7}}#{1}"),
    ("SQL", "'; DROP TABLE consumers; --"),
    ("spaces around", "  hostile-1  "),
    ("the greatest revision", "hostile-18446744073709551615"),
    (
        "the greatest length",
        "\u{1f480}\u{1f480}\u{1f480}\u{1f480}\u{1f480}\u{1f480}\u{1f480}\u{1f480}\u{1f480}\u{1f480}\u{1f480}\u{1f480}-1",
    ),
];

/// What no chain accepts, but a node may answer.
pub(crate) const IMPOSSIBLE: [(&str, &str); 3] = [
    ("nothing", ""),
    ("blanks", " \t\n"),
    (
        "too much",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\u{1b}",
    ),
];

/// What shows a text as something else, or as nothing, on a terminal or in a log: controls, and
/// what Unicode calls formats and separators of lines.
pub(crate) fn deceives(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

//! PEM as secrets hold it, whatever became of the ends of its lines: `\n` to the letter, because
//! the JSON was escaped twice, or spaces, because it was pasted into a field of one line.

use secrecy::zeroize::Zeroizing;

/// PEM with its lines apart.
pub fn lines(pem: &str) -> Zeroizing<String> {
    let pem = Zeroizing::new(pem.replace("\\r", "").replace("\\n", "\n"));
    let mut lines = Zeroizing::new(String::with_capacity(pem.len() + 1));
    // `-----BEGIN X-----`, text, `-----END X-----`: each second part is a label.
    for (number, part) in pem.split("-----").enumerate() {
        if number % 2 == 1 {
            *lines += "-----";
            *lines += part;
            *lines += "-----\n";
            continue;
        }
        for line in part.split_whitespace() {
            *lines += line;
            *lines += "\n";
        }
    }
    lines
}

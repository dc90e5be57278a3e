//! Writes text with the letters of English, for engines that know no others.

/// The text in printable ASCII: accents are dropped, typographic marks become plain ones, and what has no likeness is a blank.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            ' '..='~' => plain.push(letter),
            _ => plain.push_str(likeness(letter)),
        }
    }
    plain
}

/// The words of [`plain`], each as its place in `text`: characters before it, and characters of it.
pub fn words(text: &str) -> Vec<(usize, usize)> {
    let mut words = Vec::new();
    let mut start = None;
    let mut end = 0;
    for (at, letter) in text.chars().enumerate() {
        let mut ascii = [0; 4];
        let plain = match letter {
            ' '..='~' => letter.encode_utf8(&mut ascii),
            _ => likeness(letter),
        };
        for mark in plain.chars() {
            if mark != ' ' {
                start.get_or_insert(at);
                end = at + 1;
            } else if let Some(start) = start.take() {
                words.push((start, end - start));
            }
        }
    }
    words.extend(start.map(|start| (start, end - start)));
    words
}

fn likeness(letter: char) -> &'static str {
    match letter {
        '‘' | '’' | '‚' | '′' => "'",
        '“' | '”' | '„' | '«' | '»' | '″' => "\"",
        '–' | '—' | '―' => ", ",
        '‐' | '‑' | '−' => "-",
        '…' => "...",
        'À' | 'Á' | 'Â' | 'Ã' | 'Ä' | 'Å' | 'Ā' => "A",
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ā' | 'ą' | 'ă' => "a",
        'Æ' => "Ae",
        'æ' => "ae",
        'Ç' | 'Č' | 'Ć' => "C",
        'ç' | 'č' | 'ć' => "c",
        'ď' | 'đ' | 'ð' => "d",
        'È' | 'É' | 'Ê' | 'Ë' | 'Ē' => "E",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ę' | 'ě' => "e",
        'ğ' => "g",
        'Ì' | 'Í' | 'Î' | 'Ï' | 'İ' => "I",
        'ì' | 'í' | 'î' | 'ï' | 'ī' | 'ı' => "i",
        'Ł' => "L",
        'ł' => "l",
        'Ñ' => "N",
        'ñ' | 'ń' | 'ň' => "n",
        'Ò' | 'Ó' | 'Ô' | 'Õ' | 'Ö' | 'Ø' => "O",
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'ō' | 'ő' => "o",
        'Œ' => "Oe",
        'œ' => "oe",
        'ř' => "r",
        'Š' | 'Ś' | 'Ş' => "S",
        'š' | 'ś' | 'ş' => "s",
        'ß' => "ss",
        'ť' => "t",
        'þ' => "th",
        'Ù' | 'Ú' | 'Û' | 'Ü' => "U",
        'ù' | 'ú' | 'û' | 'ü' | 'ū' | 'ů' | 'ű' => "u",
        'Ý' => "Y",
        'ý' | 'ÿ' => "y",
        'Ž' | 'Ź' | 'Ż' => "Z",
        'ž' | 'ź' | 'ż' => "z",
        '€' => " euros",
        '£' => " pounds",
        '°' => " degrees",
        '×' => " times ",
        '½' => " one half",
        _ => " ",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_english_cannot_write_is_written_as_well_as_it_can() {
        assert_eq!(plain("“Café” — naïve…"), "\"Cafe\" ,  naive...");
        assert_eq!(plain("a\u{0}b\n😀"), "a b  ");
    }

    #[test]
    fn words_are_found_where_they_stood() {
        assert_eq!(
            words(" Olá, «mundo» 2 €!"),
            [(1, 4), (6, 7), (14, 1), (16, 2)]
        );
        for text in ["one—two", "", " ", "a\tb", "naïve…"] {
            assert_eq!(
                words(text).len(),
                plain(text)
                    .split(' ')
                    .filter(|word| !word.is_empty())
                    .count()
            );
        }
    }
}

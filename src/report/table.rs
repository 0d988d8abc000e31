//! Columns that fit: a cell that is too long goes on below itself.

/// The lines of each row; each column as wide as it needs, at most its cap.
pub fn table(rows: &[Vec<String>], caps: &[usize]) -> Vec<Vec<String>> {
    let cells: Vec<Vec<Vec<String>>> =
        rows.iter().map(|row| row.iter().zip(caps).map(|(cell, cap)| wrap(cell, *cap)).collect()).collect();
    let widest = |column: usize| {
        let lines = cells.iter().filter_map(|row| row.get(column)).flatten();
        lines.map(|line| line.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..caps.len()).map(widest).collect();
    let line = |row: &Vec<Vec<String>>, at: usize| {
        let parts =
            row.iter().zip(&widths).map(|(cell, width)| format!("{:<width$}", cell.get(at).map_or("", String::as_str)));
        parts.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let height = |row: &Vec<Vec<String>>| row.iter().map(Vec::len).max().unwrap_or(0);
    cells.iter().map(|row| (0..height(row)).map(|at| line(row, at)).collect()).collect()
}

/// Text in lines of at most `width` characters, broken between words where there is one.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let mut word: Vec<char> = word.chars().collect();
        while let Some(line) = lines.last_mut() {
            let used = line.chars().count();
            let gap = usize::from(used > 0);
            if used + gap + word.len() <= width {
                line.push_str(&" ".repeat(gap));
                line.extend(&word);
                break;
            }
            if used > 0 {
                lines.push(String::new());
                continue;
            }
            // A word that is longer than a line: ARNs, tokens.
            line.extend(word.drain(..width.min(word.len()).max(1)));
            lines.push(String::new());
        }
    }
    while lines.len() > 1 && lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_wider_than_asked_and_nothing_is_left_out() {
        let text = "A 203.0.113.10 (ttl 300) arn:aws:elasticloadbalancing:eu-west-1:111122223333:listener/app/edge";
        for width in 1..60 {
            let lines = wrap(text, width);
            assert!(lines.iter().all(|l| l.chars().count() <= width), "{width}: {lines:?}");
            let without_spaces = |s: &str| s.replace(' ', "");
            assert_eq!(without_spaces(&lines.concat()), without_spaces(text), "{width}");
        }
    }

    #[test]
    fn a_long_cell_goes_on_below_itself() {
        let rows = vec![vec!["1".to_owned(), "one two".to_owned(), "x".to_owned()]];
        assert_eq!(table(&rows, &[3, 3, 3]), [["1  one  x", "   two"]]);
    }
}

//! Draws the board. Knows nothing of where it comes from.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Paragraph, Row, Table};

use super::board::{self, Board, CELLS, Kind};

/// Characters of a level bar.
const BAR: usize = 10;

/// One screen.
pub(super) fn draw(frame: &mut Frame<'_>, board: &Board, title: &str) {
    let parts = [
        Constraint::Percentage(50),
        Constraint::Min(3),
        Constraint::Length(1),
    ];
    let [legs, lines, status] = Layout::vertical(parts).areas(frame.area());
    frame.render_widget(table(board, title), legs);
    frame.render_widget(said(board, lines), lines);
    frame.render_widget(bottom(board), status);
}

fn table(board: &Board, title: &str) -> Table<'static> {
    let heads = ["call", "state", "leg", "gate", "level"]
        .into_iter()
        .chain(CELLS);
    let widths = [14, 10, 9, 7, BAR as u16].map(Constraint::Length);
    let widths = widths.into_iter().chain(CELLS.map(|_| Constraint::Fill(1)));
    let title = format!(" {title}: {} calls ", board.calls());
    Table::new(board.rows().into_iter().map(row), widths)
        .header(Row::new(heads.map(Cell::from)).bold())
        .block(Block::bordered().title(title))
}

fn row(row: board::Row) -> Row<'static> {
    let gate = match row.gate.as_str() {
        "open" => Style::new().fg(Color::Green),
        "paused" => Style::new().fg(Color::Yellow),
        _ => Style::new().fg(Color::Red),
    };
    let full = (row.level * BAR as f64).round() as usize;
    let bar = format!("{}{}", "█".repeat(full), "░".repeat(BAR - full));
    let cells = [
        Cell::from(shortened(&row.guid)),
        Cell::from(row.state),
        Cell::from(row.leg),
        Cell::from(Span::styled(row.gate, gate)),
        Cell::from(Span::styled(bar, gate)),
    ];
    Row::new(cells.into_iter().chain(row.cells.map(Cell::from)))
}

fn said(board: &Board, area: Rect) -> Paragraph<'static> {
    // The newest lines that fit between the borders.
    let room = usize::from(area.height.saturating_sub(2));
    let newest = board
        .lines()
        .iter()
        .skip(board.lines().len().saturating_sub(room));
    let lines = newest.map(|line| {
        let (who, color) = match line.kind {
            Kind::Agent => ("agent", Color::Cyan),
            Kind::Customer => ("customer", Color::Green),
            Kind::Event => ("", Color::DarkGray),
            Kind::Warning => ("", Color::Yellow),
        };
        let guid = Span::from(format!("{:>12} ", shortened(&line.guid))).dark_gray();
        let who = Span::from(format!("{who:<9}")).bold();
        Line::from(vec![guid, who, Span::styled(line.text.clone(), color)])
    });
    Paragraph::new(lines.collect::<Vec<_>>()).block(Block::bordered().title(" what is said "))
}

fn bottom(board: &Board) -> Line<'static> {
    match board.trouble_text() {
        None => Line::from(" q quits").dark_gray(),
        Some(why) => Line::from(format!(" {why}")).red(),
    }
}

/// The end of an identifier tells more than its beginning.
fn shortened(guid: &str) -> String {
    let length = guid.chars().count();
    if length <= 12 {
        return guid.to_owned();
    }
    format!("…{}", guid.chars().skip(length - 11).collect::<String>())
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use serde_json::json;

    use super::*;

    #[test]
    fn calls_levels_and_words_are_on_the_screen_whatever_its_size() {
        let mut board = Board::default();
        board.refresh(
            &json!({"calls": [{"guid": "CA0123456789abcdef", "state": "streaming",
            "legs": [{"id": 1, "side": "first", "gate": "open", "counters": {"peak": 32768}}]}]}),
        );
        board.tell(
            &json!({"type": "transcript", "call": {"guid": "CA0123456789abcdef"},
            "sender": {"role": "customer"}, "alternatives": [{"text": "my phone is broken"}]}),
        );
        board.trouble("no answer".to_owned());
        let mut terminal = Terminal::new(TestBackend::new(140, 20)).unwrap();
        terminal.draw(|frame| draw(frame, &board, "gw")).unwrap();
        let screen = terminal.backend().to_string();
        for expected in [
            "gw: 1 calls",
            "…56789abcdef",
            "██████████",
            "my phone is broken",
            "no answer",
        ] {
            assert!(screen.contains(expected), "{expected} is not in\n{screen}");
        }
        for (width, height) in [(1, 1), (10, 3), (40, 8)] {
            let mut small = Terminal::new(TestBackend::new(width, height)).unwrap();
            small.draw(|frame| draw(frame, &board, "gw")).unwrap();
        }
    }
}

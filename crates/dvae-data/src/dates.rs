//! Dates and times as numbers.

use dvae_checks::shown;
use jiff::Timestamp;
use jiff::civil::{self, DateTime};
use jiff::tz::Offset;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a column writes its dates or times, by the directives of `strftime`: `%Y-%m-%d`.
///
/// The number of a date is how many units have passed since the beginning of 1970: seconds, minutes, hours or days, whatever the
/// format writes last; of fractions of a second (`%.f`) nothing is learned. Times are those of the clock that the table was written by:
/// there are no time zones. Years have four digits, or two from 1969 to 2068.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct DateFormat {
    text: String,
    /// Seconds.
    unit: i64,
    /// Whether years have two digits.
    is_short: bool,
    /// Whether years have four digits.
    is_long: bool,
}

impl DateFormat {
    /// The formats that are found without being named: those of ISO 8601, with a slash in place of the hyphen too.
    pub(crate) const USUAL: [&str; 12] = [
        "%Y-%m-%d",
        "%Y/%m/%d",
        "%Y-%m-%dT%H:%M:%S",
        "%Y-%m-%d %H:%M:%S",
        "%Y-%m-%dT%H:%M:%SZ",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%d %H:%M",
        "%Y/%m/%d %H:%M:%S",
        "%Y/%m/%d %H:%M",
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M:%S%.fZ",
    ];

    /// A format of these directives: years `%Y %y`, months `%m %b %B`, days `%d %e %j`, hours `%H %I %p`, minutes `%M`, seconds `%S`
    /// and `%.f`, and `%F %T %R %D`. An error names another one, or says that a date does not come back from its text.
    pub fn new(text: &str) -> Result<Self, String> {
        let directives = directives(&text.replace("%.f", ""));
        if let Some(other) = directives.iter().find(|&&c| !"YymbBdejHIpMSFTRD%".contains(c)) {
            let text = shown(text);
            return Err(format!(
                "`{text}` is no format of dates here: `%{other}` is none of %Y %y %m %b %B %d %e %j %H %I %p %M %S %.f %F %T %R %D"
            ));
        }
        let has = |any: &str| directives.iter().any(|&c| any.contains(c));
        let unit = match () {
            () if has("ST") => 1,
            () if has("MR") => 60,
            () if has("HI") => 3600,
            () => 86400,
        };
        let (is_short, is_long) = (has("yD"), has("YF"));
        let format = Self { text: text.to_owned(), unit, is_short, is_long };
        let sample = civil::date(2024, 11, 23).at(13, 45, 57, 0);
        let number = format.units(sample);
        if number.is_none()
            || number.and_then(|number| format.number(&format.date_text(number))) != number
        {
            return Err(format!(
                "`{}` is no format of dates here: it has to tell year, month and day, such as %d.%m.%Y",
                shown(text)
            ));
        }
        Ok(format)
    }

    /// The text of the format.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The number of a text; `None` if it is no date of this format.
    pub(crate) fn number(&self, text: &str) -> Option<f64> {
        let date = DateTime::strptime(&self.text, text).ok()?;
        // A year of two digits is not one of the first century.
        self.units(date).filter(|_| !self.is_long || date.year() >= 1000)
    }

    fn units(&self, date: DateTime) -> Option<f64> {
        let seconds = Offset::UTC.to_timestamp(date).ok()?.as_second();
        Some(seconds.div_euclid(self.unit) as f64)
    }

    /// The date of a number, rounded; the first or last one that there is for numbers beyond. NaN has none.
    pub(crate) fn date_text(&self, number: f64) -> String {
        if number.is_nan() {
            return String::new();
        }
        // Years that the format tells: two digits are those of 1969 to 2068.
        let years = if self.is_short { [1969, 2068] } else { [1000, 9998] };
        let ends = [civil::date(years[0], 1, 1), civil::date(years[1], 12, 31)];
        let ends = ends.map(|day| self.units(day.at(0, 0, 0, 0)).unwrap_or_default());
        let units = number.round().clamp(ends[0], ends[1]) as i64;
        let date =
            Timestamp::from_second(units * self.unit).map(|time| Offset::UTC.to_datetime(time));
        date.map_or_else(
            |_| String::new(),
            |date| date.strftime(&self.text).to_string().trim().to_owned(),
        )
    }

    /// The formats of [`DateFormat::USUAL`].
    pub(crate) fn usual() -> Vec<Self> {
        Self::USUAL.iter().filter_map(|text| Self::new(text).ok()).collect()
    }
}

impl TryFrom<String> for DateFormat {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::new(&text)
    }
}

impl From<DateFormat> for String {
    fn from(format: DateFormat) -> Self {
        format.text
    }
}

/// The letters after each `%`, without flags.
fn directives(text: &str) -> Vec<char> {
    let (mut found, mut letters) = (vec![], text.chars());
    while let Some(c) = letters.next() {
        if c == '%' {
            found.push(letters.find(|c| !"-_0^".contains(*c)).unwrap_or('%'));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_units_since_1970() {
        for (format, text, number) in [
            ("%Y-%m-%d", "1970-01-02", 1.0),
            ("%d.%m.%Y", "31.12.1969", -1.0),
            ("%m/%d/%Y", "03/01/2000", 11017.0),
            ("%e %B %Y", "1 March 2000", 11017.0),
            ("%d.%m.%y", "01.03.00", 11017.0),
            ("%Y-%m-%d %H:%M:%S", "1970-01-01 00:01:30", 90.0),
            ("%Y-%m-%d %H:%M:%S%.f", "1970-01-01 00:01:30.75", 90.0),
            ("%Y-%m-%d %H:%M:%S%.f", "1970-01-01 00:01:30", 90.0),
            ("%Y-%m-%dT%H:%M", "1970-01-01T02:05", 125.0),
            ("%d.%m.%Y %H Uhr", "02.01.1970 05 Uhr", 29.0),
            ("%m/%d/%Y %I:%M %p", "01/01/1970 01:30 PM", 810.0),
        ] {
            let format = DateFormat::new(format).unwrap();
            assert_eq!(format.number(text), Some(number), "{text}");
            assert_eq!(format.number(&format.date_text(number)), Some(number), "{text}");
        }
        let format = DateFormat::new("%d.%m.%Y").unwrap();
        assert_eq!(format.date_text(0.4), "01.01.1970");
        assert_eq!(format.number("1.2.2020"), format.number("01.02.2020"));
        for text in ["", "30.02.2020", "2020-01-01", "01.01.2020 ", "x", "01.02.20"] {
            assert_eq!(format.number(text), None, "{text}");
        }
        assert_eq!(format.date_text(f64::NAN), "");
        let short = DateFormat::new("%d.%m.%y").unwrap();
        for far in [1e300, -1e300, f64::INFINITY, 50_000.0, -50_000.0] {
            for format in [&format, &short] {
                let text = format.date_text(far);
                assert_eq!(format.date_text(format.number(&text).unwrap()), text, "{far}");
            }
        }
        assert_eq!([1e9, -1e9].map(|far| short.date_text(far)), ["31.12.68", "01.01.69"]);
        assert_eq!(DateFormat::new("%e %B %Y").unwrap().date_text(11017.0), "1 March 2000");
        for usual in DateFormat::usual() {
            assert_eq!(usual.number(&usual.date_text(1000.0)), Some(1000.0), "{usual:?}");
        }
        assert_eq!(DateFormat::usual().len(), DateFormat::USUAL.len());
    }

    #[test]
    fn a_format_that_does_not_tell_the_date_is_refused() {
        for (text, why) in [
            ("%Y-%m", "year, month and day"),
            ("dates", "year, month and day"),
            ("", "year, month and day"),
            ("%Y-%m-%d %I:%M", "year, month and day"),
            ("%Y-%m-%dT%H:%M:%S%z", "`%z` is none of"),
            ("%Y-%m-%d %H:%M:%S.%f", "`%f` is none of"),
            ("%d %", "year, month and day"),
        ] {
            let error = DateFormat::new(text).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}

//! Tables in Parquet files.
#![cfg(feature = "parquet")]
#![allow(clippy::unwrap_used)] // A test may panic.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray,
    Float32Array, Float64Array, Int64Array, ListArray, RecordBatch, StringArray,
    TimestampMicrosecondArray, TimestampSecondArray,
};
use dvae_data::{
    Column, ColumnKind, FurtherColumn, KindConfig, ReadOptions, Row, RowWriter, columns_by_kind,
    read_rows, table_columns,
};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

/// Rows of every type that a table may have, with a hole in each column; row `i` of `2,500`, in several groups.
fn batch() -> RecordBatch {
    let rows = 2500;
    let holed = |at: usize, hole: usize| (at % 50 != hole).then_some(at);
    let each = |hole: usize| (0..rows).map(move |at| holed(at, hole));
    let towns = ["Ulm", "Bonn", "Trier, West"];
    let town: DictionaryArray<Int32Type> = each(3).map(|at| at.map(|at| towns[at % 3])).collect();
    let price = each(5).map(|at| at.map(|at| at as i128 * 7)).collect::<Decimal128Array>();
    let nested = ListArray::from_iter_primitive::<Int32Type, _, _>(
        each(9).map(|at| at.map(|at| vec![Some(at as i32), None])),
    );
    let zoned = each(10)
        .map(|at| at.map(|at| at as i64 * 1_000_500))
        .collect::<TimestampMicrosecondArray>();
    let zoned = zoned.with_timezone("Europe/Berlin");
    let bytes: BinaryArray = each(11).map(|at| at.map(|at| [at as u8 % 3])).collect();
    let short = ListArray::from_iter_primitive::<Int32Type, _, _>(
        each(12).map(|at| at.map(|at| vec![Some(at as i32 % 2)])),
    );
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "name",
            Arc::new(
                each(0).map(|at| at.map(|at| format!("a \"{at}\"\n"))).collect::<StringArray>(),
            ),
        ),
        (
            "count",
            Arc::new(each(1).map(|at| at.map(|at| (at % 40) as i64)).collect::<Int64Array>()),
        ),
        (
            "size",
            Arc::new(each(2).map(|at| at.map(|at| at as f64 / 7.0)).collect::<Float64Array>()),
        ),
        ("town", Arc::new(town)),
        ("flag", Arc::new(each(4).map(|at| at.map(|at| at % 3 == 0)).collect::<BooleanArray>())),
        ("price", Arc::new(price.with_precision_and_scale(12, 2).unwrap())),
        (
            "born",
            Arc::new(each(6).map(|at| at.map(|at| 10_000 + at as i32)).collect::<Date32Array>()),
        ),
        (
            "seen",
            Arc::new(
                each(7).map(|at| at.map(|at| at as i64 * 3607)).collect::<TimestampSecondArray>(),
            ),
        ),
        (
            "single",
            Arc::new(each(8).map(|at| at.map(|at| at as f32 * 0.1)).collect::<Float32Array>()),
        ),
        ("nested", Arc::new(nested)),
        ("zoned", Arc::new(zoned)),
        ("bytes", Arc::new(bytes)),
        ("short", Arc::new(short)),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, of)| (name, of, true)))
        .unwrap()
}

fn write(path: &Path, batch: &RecordBatch) {
    let own = KeyValue::new("made-by".to_owned(), "a test".to_owned());
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(700))
        .set_key_value_metadata(Some(vec![own]))
        .build();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

fn read(path: &Path) -> RecordBatch {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let schema = builder.schema().clone();
    let batches: Vec<RecordBatch> = builder.build().unwrap().map(Result::unwrap).collect();
    arrow_select::concat::concat_batches(&schema, &batches).unwrap()
}

fn options(path: &Path) -> ReadOptions {
    let kinds: std::collections::BTreeMap<String, KindConfig> =
        [("born", ColumnKind::Date), ("seen", ColumnKind::Date), ("zoned", ColumnKind::Date)]
            .map(|(name, kind)| (name.to_owned(), kind.into()))
            .into();
    let columns = columns_by_kind(path, &ReadOptions::default(), &kinds).unwrap();
    ReadOptions { kinds: Some(columns), ..ReadOptions::default() }
}

/// The file with other values: `change` gets the row, the name of the column and the value, and gives the new value.
fn rewritten(
    from: &Path,
    to: &Path,
    further: &[FurtherColumn],
    change: impl Fn(usize, &str, f64) -> f64,
) -> Result<(), String> {
    let options = options(from);
    let rows = read_rows(from, &options).unwrap();
    let format = rows.format.clone().with_columns(further.to_vec());
    let names = format.names.clone().unwrap();
    let mut writer = RowWriter::create(to, &format).map_err(|error| error.to_string())?;
    for (at, row) in rows.enumerate() {
        let row: Row = row.unwrap();
        let values: Vec<f64> =
            row.values().iter().zip(&names).map(|(&value, name)| change(at, name, value)).collect();
        let cells = vec![values[0] + 0.5; further.len()];
        writer
            .write(&row.with_values(&format, &values).appended(cells))
            .map_err(|error| error.to_string())?;
    }
    writer.finish().map_err(|error| error.to_string())
}

#[test]
fn columns_are_described_as_those_of_a_table_of_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write(&path, &batch());
    let found = table_columns(&path, &ReadOptions::default()).unwrap();
    let kinds: Vec<(&str, ColumnKind)> =
        found.iter().map(|column: &Column| (&*column.name, column.kind)).collect();
    use ColumnKind as K;
    assert_eq!(
        kinds,
        [
            ("name", K::PassThrough),
            ("count", K::Count),
            ("size", K::Numeric),
            ("town", K::Categorical),
            ("flag", K::Binary),
            ("price", K::Numeric),
            ("born", K::PassThrough),
            ("seen", K::PassThrough),
            ("single", K::Numeric),
            ("nested", K::PassThrough),
            ("zoned", K::PassThrough),
            ("bytes", K::PassThrough),
            ("short", K::PassThrough),
        ]
    );
    assert!(found.iter().all(|column| (column.rows, column.holes) == (2500, 50)));
    let rows: Vec<Row> = read_rows(&path, &options(&path)).unwrap().map(Result::unwrap).collect();
    // The first row has a name alone missing; days of 1970 are numbers of days.
    assert_eq!(rows[0].values(), [0.0, 0.0, 2.0, 1.0, 0.0, 10_000.0, 0.0, 0.0, 0.0]);
    assert!(rows[1].values()[0].is_nan());
}

#[test]
fn what_does_not_change_is_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("a.parquet"), folder.path().join("b.parquet"));
    write(&from, &batch());
    rewritten(&from, &to, &[], |_, _, value| value).unwrap();
    assert_eq!(std::fs::read(&from).unwrap(), std::fs::read(&to).unwrap());
}

#[test]
fn holes_are_filled_with_values_of_their_types_and_all_else_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("a.parquet"), folder.path().join("b.parquet"));
    write(&from, &batch());
    let fill = |_: usize, name: &str, value: f64| match name {
        _ if !value.is_nan() => value,
        "size" => 0.125,
        "price" => 12.25,
        "single" => 0.1,
        _ => 1.0,
    };
    let further = [("count_low", Some(0)), ("sure", None)];
    let further =
        further.map(|(name, values_of)| FurtherColumn { name: name.to_owned(), values_of });
    rewritten(&from, &to, &further, |at, name, value| {
        if name == "count" && value.is_nan() { 0.5 } else { fill(at, name, value) }
    })
    .expect_err("half a count is no whole number");
    assert!(!to.exists());
    let whole = FurtherColumn { name: "size_low".to_owned(), values_of: Some(1) };
    rewritten(&from, &to, &[whole], fill).unwrap();
    let (old, new) = (read(&from), read(&to));
    assert_eq!(new.num_columns(), old.num_columns() + 1);
    for (at, field) in old.schema().fields().iter().enumerate() {
        assert_eq!(new.schema().field(at), &**field);
        let (old, new) = (old.column(at), new.column(at));
        let is_modeled = !["name", "nested", "bytes", "short"].contains(&&**field.name());
        assert_eq!(new.null_count(), if is_modeled { 0 } else { 50 }, "{}", field.name());
        for row in (0..2500).filter(|&row| old.is_valid(row)) {
            assert_eq!(old.slice(row, 1).to_data(), new.slice(row, 1).to_data());
        }
    }
    let of = |name: &str| new.column_by_name(name).unwrap().clone();
    let text = |name: &str, row: usize| {
        arrow_cast::display::array_value_to_string(&of(name), row).unwrap()
    };
    let unzoned = new.column_by_name("zoned").unwrap().clone();
    let times = unzoned.as_primitive::<arrow_array::types::TimestampMicrosecondType>();
    assert_eq!(times.value(10), 1_000_000);
    let filled = ["count", "size", "town", "flag", "price", "born", "seen", "single"];
    let texts: Vec<String> = filled.iter().zip(1..).map(|(name, row)| text(name, row)).collect();
    let expected =
        ["1", "0.125", "Trier, West", "true", "12.25", "1970-01-02", "1970-01-01T00:00:01", "0.1"];
    assert_eq!(texts, expected);
    assert_eq!(text("size_low", 0), "0.5");
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(&to).unwrap()).unwrap();
    let metadata = builder.metadata();
    assert_eq!(metadata.row_group(0).column(0).compression(), Compression::SNAPPY);
    let own = metadata.file_metadata().key_value_metadata().unwrap();
    assert!(own.iter().any(|entry| entry.key == "made-by"));
}

#[test]
fn it_becomes_a_table_of_text_but_text_does_not_become_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("1", Arc::new(Int64Array::from(vec![Some(4), None, Some(7)]))),
        ("note", Arc::new(StringArray::from(vec![Some("a, b"), None, Some(" x")]))),
    ];
    write(&at("a.parquet"), &RecordBatch::try_from_iter(columns).unwrap());
    let options = ReadOptions { columns: Some(vec!["1".into()]), ..ReadOptions::default() };
    let rows = read_rows(&at("a.parquet"), &options).unwrap();
    let mut writer = RowWriter::create(&at("b.csv"), &rows.format).unwrap();
    rows.for_each(|row| writer.write(&row.unwrap()).unwrap());
    writer.finish().unwrap();
    assert_eq!(std::fs::read_to_string(at("b.csv")).unwrap(), "1,note\n4,\"a, b\"\n,\n7,\" x\"\n");
    let rows = read_rows(&at("b.csv"), &options).unwrap();
    let error = RowWriter::create(&at("c.parquet"), &rows.format).unwrap_err().to_string();
    assert!(error.contains("name a .csv"), "{error}");
    let no_header = ReadOptions { no_header: true, ..ReadOptions::default() };
    let error = read_rows(&at("a.parquet"), &no_header).unwrap_err().to_string();
    assert!(error.contains("leave `data.header`"), "{error}");
}

#[global_allocator]
static ALLOCATED: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;

// A file cut at any place, or with any byte changed, is an error or rows: never a panic, nor much memory.
#[test]
fn broken_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write(&path, &batch().slice(0, 60));
    let whole = std::fs::read(&path).unwrap();
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let columns = ["count", "size"].map(str::to_owned).to_vec();
        let options = ReadOptions { columns: Some(columns), ..ReadOptions::default() };
        read_rows(&path, &options).map(|mut rows| rows.try_for_each(|row| row.map(|_| ())))
    };
    for end in (0..whole.len()).step_by(7) {
        assert!(read(&whole[..end]).is_err(), "{end}");
    }
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        let _ = read(&bytes);
    }
    // Other tests have their rows in memory too.
    let most = ALLOCATED.peak_usage_as_mb();
    assert!(most < 256.0, "{most} MB");
}

//! Orders in SQLite. Each query is a span of spanring's own, in whatever span asks.

use serde::Serialize;
use spanring::prelude::*;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqlitePool};
use std::path::Path;
use tracing::info_span;

/// Orders that a customer has, where the database is made.
pub const ORDERS_PER_CUSTOMER: u32 = 20;

/// How a database is made.
#[derive(Clone, Copy, Debug)]
pub struct Contents {
    /// Orders in it.
    pub orders: u32,
    /// Whether the orders of a customer are found by an index. Without one, all orders are looked at.
    pub indexed: bool,
}

/// An open database.
#[derive(Clone, Debug)]
pub struct Database {
    pool: SqlitePool,
}

/// An order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Order {
    /// Its number, from 1.
    pub id: i64,
    /// Whose it is, from 1.
    pub customer: i64,
    /// What it is worth.
    pub cents: i64,
}

/// A row as SQLite has it.
type Row = (i64, i64, i64);

impl Database {
    /// A new one in that file, which so many may ask at the same time.
    ///
    /// # Errors
    /// If the file cannot be written, or is a database already.
    pub async fn create(file: &Path, contents: Contents, connections: u32) -> Result<Database, sqlx::Error> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal);
        let pool =
            SqlitePoolOptions::new().min_connections(connections).max_connections(connections).connect_with(options);
        let pool = pool.await?;
        sqlx::query("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER NOT NULL, cents INTEGER NOT NULL)")
            .execute(&pool)
            .await?;
        sqlx::query(
            "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?1)
             INSERT INTO orders (customer, cents) SELECT n % ?2 + 1, n * 37 % 10000 FROM number",
        )
        .bind(contents.orders)
        .bind(contents.customers())
        .execute(&pool)
        .await?;
        if contents.indexed {
            sqlx::query("CREATE INDEX orders_by_customer ON orders (customer)").execute(&pool).await?;
        }
        Ok(Database { pool })
    }

    /// The order of that number, if there is one.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn order(&self, id: i64) -> Result<Option<Order>, sqlx::Error> {
        let mut connection = self.connection().await?;
        let select = async {
            let select = sqlx::query_as("SELECT id, customer, cents FROM orders WHERE id = ?").bind(id);
            Ok(decode(select.fetch_all(&mut *connection).await?).pop())
        };
        span_async_named!("select order", order = id, select, err).await
    }

    /// The orders of a customer.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn orders_of(&self, customer: i64) -> Result<Vec<Order>, sqlx::Error> {
        let mut connection = self.connection().await?;
        let select = async {
            let select = sqlx::query_as("SELECT id, customer, cents FROM orders WHERE customer = ?").bind(customer);
            let rows = select.fetch_all(&mut *connection).await?;
            current_span().record("rows", rows.len());
            Ok(decode(rows))
        };
        span_async_named!("select orders of customer", customer = customer, select, err).await
    }

    /// Writes a new order down, and returns its number.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn place(&self, customer: i64, cents: i64) -> Result<i64, sqlx::Error> {
        let mut connection = self.connection().await?;
        let insert = async {
            let insert = sqlx::query("INSERT INTO orders (customer, cents) VALUES (?, ?)").bind(customer).bind(cents);
            Ok(insert.execute(&mut *connection).await?.last_insert_rowid())
        };
        span_async_named!("insert order", customer = customer, insert, err).await
    }

    /// Closes all connections, when nobody asks any more.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Time spent here is time in which all connections were in use.
    async fn connection(&self) -> Result<PoolConnection<Sqlite>, sqlx::Error> {
        instrument_named!(self.pool.acquire(), "wait for connection", err).await
    }
}

impl Contents {
    /// Customers in it, numbered from 1.
    pub fn customers(self) -> u32 {
        (self.orders / ORDERS_PER_CUSTOMER).max(1)
    }
}

/// A span of `tracing`, in one of spanring's.
fn decode(rows: Vec<Row>) -> Vec<Order> {
    info_span!("decode", rows = rows.len())
        .in_scope(|| rows.into_iter().map(|(id, customer, cents)| Order { id, customer, cents }).collect())
}

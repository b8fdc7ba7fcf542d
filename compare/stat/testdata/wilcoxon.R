# Reference values for the tests of compare/stats.go and verdict.go, from R:
#   Rscript wilcoxon.R > wilcoxon.csv
# A line a case: kind, values of x, values of y, level, estimate, low, high, p.
set.seed(42)
line <- function(...) cat(paste(c(...), collapse = ","), "\n", sep = "")
nums <- function(v) paste(format(v, digits = 17, trim = TRUE), collapse = " ")
result <- function(kind, x, y, level, t)
  line(kind, nums(x), nums(y), level, format(unname(t$estimate), digits = 17), nums(t$conf.int[1]), nums(t$conf.int[2]), format(t$p.value, digits = 17))
for (n in c(6, 10, 12, 16, 20, 30)) for (level in c(0.95, 0.99, 0.9952)) {
  if (2 / 2^n > 1 - level) next # R would give a wider level than was asked for
  x <- rnorm(n, 0.3)
  result("signed rank", x, numeric(0), level, wilcox.test(x, conf.int = TRUE, conf.level = level, exact = TRUE))
}
for (m in c(5, 10, 12)) for (n in c(6, 12, 20)) for (level in c(0.95, 0.99)) {
  if (2 / choose(m + n, m) > 1 - level) next
  x <- rnorm(m); y <- rnorm(n, 0.5)
  result("rank sum", x, y, level, wilcox.test(y, x, conf.int = TRUE, conf.level = level, exact = TRUE))
}
for (p in list(c(0.01, 0.04, 0.03, 0.005), c(0.0001, 0.02, 0.02, 0.9), c(0.5, 0.6))) line("holm", nums(p), nums(p.adjust(p, "holm")))

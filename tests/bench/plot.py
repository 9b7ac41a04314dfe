"""A curve as a small picture."""
import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt  # noqa: E402


def draw(curve, path):
    figure, axes = plt.subplots(figsize=(6.4, 4), dpi=90)
    many = max(len(points) for points in curve.series.values()) > 20  # of one run, one after the other
    for name in curve.series:
        xs, ys = zip(*curve.points(name))
        axes.plot(xs, ys, '-' if many else 'o-', linewidth=1, markersize=4, label=name)
    if not many:
        axes.set_xscale('log')
    axes.set_yscale('log')
    axes.set(title=curve.title, xlabel=curve.xs, ylabel=curve.ys)
    axes.grid(True, which='major', linewidth=0.3)
    axes.legend(fontsize='small')
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)

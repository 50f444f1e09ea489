// Prints the landmarks of one face:  landmarks MODEL.onnx PHOTO LEFT TOP RIGHT BOTTOM
// The box is tight: brows to chin, jaw to jaw. Before OpenCV 5 MODEL.pb runs as well.
// g++ -O2 landmarks.cpp -o landmarks $(pkg-config --cflags --libs opencv4)
#include <cstdio>
#include <opencv2/dnn.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <string>

int main(int argc, char** argv) {
    const int size = 128;  // size and margin are those of senet-68.json
    const double margin = 0.125;
    const cv::Mat photo = argc == 7 ? cv::imread(argv[2]) : cv::Mat();
    if (photo.empty()) {
        std::fprintf(stderr, "give MODEL, a PHOTO that can be read, LEFT TOP RIGHT BOTTOM\n");
        return 2;
    }
    const double left = std::stod(argv[3]), top = std::stod(argv[4]);
    const double right = std::stod(argv[5]), bottom = std::stod(argv[6]);
    const double side = (1 + 2 * margin) * std::max(right - left, bottom - top);
    const double x = (left + right - side) / 2, y = (top + bottom - side) / 2;

    const int factor = std::max(int(side / size), 1);  // a large face is reduced first
    const cv::Point before(cvFloor(x) - factor, cvFloor(y) - factor);
    const cv::Point behind(cvCeil(x + side) + factor, cvCeil(y + side) + factor);
    const cv::Rect part = cv::Rect(before, behind) & cv::Rect(cv::Point(), photo.size());
    const cv::Size cells = part.size() / factor;
    cv::Mat small, crop;
    cv::resize(photo(cv::Rect(part.tl(), cells * factor)), small, cells, 0, 0, cv::INTER_AREA);
    const double zoom = size / side, middle = (factor - 1) / 2.0;  // pixel centres are at integers
    const cv::Matx23d matrix(zoom * factor, 0, zoom * (part.x + middle - x) - 0.5,  //
                             0, zoom * factor, zoom * (part.y + middle - y) - 0.5);
    cv::warpAffine(small, crop, matrix, cv::Size(size, size));

    cv::cvtColor(crop, crop, cv::COLOR_BGR2RGB);
    crop.convertTo(crop, CV_32F);  // RGB, 0 to 255
    const std::string model = argv[1];
    const bool onnx = model.rfind(".onnx") != std::string::npos;
    const int shape[] = {1, size, size, 3};
    cv::dnn::Net net = cv::dnn::readNet(model);
    net.setInput(onnx ? cv::Mat(4, shape, CV_32F, crop.data) : cv::dnn::blobFromImage(crop));
    const cv::Mat points = net.forward(onnx ? "landmarks:0" : "landmarks").reshape(1, 1);
    for (int i = 0; i < points.cols; i += 2)
        std::printf("%.2f %.2f\n", points.at<float>(i) * side + x,
                    points.at<float>(i + 1) * side + y);
}
